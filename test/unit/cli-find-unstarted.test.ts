import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describePossible, findUnstarted } from '../../cli/find-unstarted.ts'
import type { StatusCounts } from '../../shared/job/record.ts'
import type { Batch } from '../../shared/stores/batch-store.ts'
import { START } from '../support/job-builders.ts'

const OPEN: Batch = { status: 'open', name: 'nightly', createdAt: START }
const SEALED: Batch = { ...OPEN, status: 'sealed', total: 3_000 }
const COMPLETED: Batch = { ...SEALED, status: 'completed', completedAt: START }
const INCOMPLETE: Batch = { ...SEALED, status: 'incomplete', incompleteAt: START }
const PUBSUB = { store: { kind: 'firestore', project: 'p' }, jobsTopic: 'jobs' } as const

function find(batch: Batch | undefined, counts: StatusCounts, name = 'nightly') {
  const stores = {
    batches: { read: async () => batch },
    documents: {
      countByStatus: async () => counts,
      countFailures: async () => ({}),
      sumUsage: async () => ({ promptTokens: 0, completionTokens: 0 }),
    },
  }
  return findUnstarted(stores, PUBSUB, { key: 'key', id: 'doc-7', batch: name })
}

for (const [what, batch, counts, expected, text] of [
  [
    ...['of a batch under way', SEALED, { succeeded: 2_990, running: 1 }],
    { state: 'running', jobs: 9 },
    'no record: it may be one of the 9 jobs of batch "nightly" that have not started; Pub/Sub cannot be searched',
  ],
  [
    ...['of a batch with one job to start', SEALED, { succeeded: 2_999 }],
    { state: 'running', jobs: 1 },
    'no record: it may be the 1 job of batch "nightly" that has not started; Pub/Sub cannot be searched',
  ],
  [
    ...['of a batch that is being submitted', OPEN, {}],
    { state: 'submitting', jobs: undefined },
    'no record: batch "nightly" is still being submitted, and it may be one of its jobs; Pub/Sub cannot be searched',
  ],
  [
    ...['of a batch whose messages were lost', INCOMPLETE, { succeeded: 1_000 }],
    { state: 'incomplete', jobs: 2_000 },
    'no record: it may be one of the 2,000 jobs of batch "nightly" whose messages were lost',
  ],
] as const) {
  test(`on Pub/Sub, a job without a record ${what} may be one of those that have not started`, async () => {
    const found = await find(batch, counts)
    assert.deepEqual(found, { kind: 'possible', ...expected })
    assert.equal(describePossible('nightly', expected), text)
  })
}

for (const [what, batch, counts, name] of [
  ['of a batch of which every job has a record', SEALED, { succeeded: 2_999, running: 1 }, 'nightly'],
  ['of a completed batch of which records have expired', COMPLETED, { succeeded: 10 }, 'nightly'],
  ['of a batch that does not exist', undefined, {}, 'nightly'],
  ['without a batch', undefined, { succeeded: 2 }, ''],
] as const) {
  test(`on Pub/Sub, a job without a record ${what} is absent`, async () => {
    assert.deepEqual(await find(batch, counts, name), { kind: 'absent' })
  })
}
