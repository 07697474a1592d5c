import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeBriefly, describeProgress } from '../../cli/batches/describe-progress.ts'
import { rateOf } from '../../cli/batches/follow-batch.ts'
import type { StatusCounts } from '../../shared/job/record.ts'
import { type BatchProgress, progressOf } from '../../shared/stores/batch-progress.ts'
import type { Batch } from '../../shared/stores/batch-store.ts'
import { START } from '../support/job-builders.ts'

const OPEN: Batch = { status: 'open', name: 'nightly', createdAt: START }
const SEALED: Batch = { ...OPEN, status: 'sealed', total: 10 }
const COMPLETED: Batch = { ...SEALED, status: 'completed', completedAt: START }
const INCOMPLETE: Batch = { ...SEALED, status: 'incomplete', incompleteAt: START }

function aProgress(batch: Batch | undefined, counts: StatusCounts, failures = {}): BatchProgress {
  return progressOf('nightly', batch, { counts, failures, tokens: { promptTokens: 1_200, completionTokens: 34 } })
}

const STATES = [
  ['a batch that is still being submitted', OPEN, { succeeded: 2 }, 'submitting', undefined],
  ['records without a batch', undefined, { succeeded: 2 }, 'submitting', undefined],
  ['a sealed batch of which no job has started', SEALED, {}, 'running', 10],
  ['a batch with jobs under way', SEALED, { succeeded: 3, running: 2, waiting: 1 }, 'running', 4],
  [
    'a batch of which every job is settled',
    SEALED,
    { succeeded: 7, dead_lettered: 1, cancelled: 1, expired: 1 },
    'complete',
    0,
  ],
  ['a completed batch of which records have expired', COMPLETED, { succeeded: 4 }, 'complete', 6],
  ['a completed batch of which a job is replayed', COMPLETED, { succeeded: 9, running: 1 }, 'running', 0],
  ['a batch whose messages were lost', INCOMPLETE, { succeeded: 4 }, 'incomplete', 6],
  ['a batch whose lost jobs came after all', INCOMPLETE, { succeeded: 10 }, 'complete', 0],
] as const

for (const [what, batch, counts, state, notStarted] of STATES) {
  test(`progress: ${what} is ${state}`, () => {
    assert.partialDeepStrictEqual(aProgress(batch, counts), { state, notStarted })
  })
}

test('progress: every figure of a batch is shown for people', () => {
  const progress = aProgress(
    { ...SEALED, total: 3_000 },
    { succeeded: 281, dead_lettered: 3, running: 4 },
    { budget: 1, rejected: 2 },
  )
  const lines = describeProgress({ progress, rate: 12.4, leftMs: 219_000 }).split('\n')
  assert.deepEqual(lines, [
    'nightly  running',
    'settled      284 of 3,000',
    'not started  2,712',
    'running      4',
    'waiting      0  for another attempt',
    'succeeded    281',
    'failed       3',
    '  rejected     2',
    '  budget       1',
    'tokens       1,200 in, 34 out',
    'rate         12/s',
    'time left    4 min',
    '',
  ])
  assert.equal(
    describeBriefly({ progress, rate: 0.5, leftMs: 90_000 }),
    '284 of 3,000 settled, 4 running, 3 failed; 30/min, 90 s left',
  )
})

test('progress: reasons that were counted of a part of the failed jobs say of how many', () => {
  const progress = aProgress(SEALED, { dead_lettered: 2_500 }, { budget: 400, rejected: 600 })
  assert.equal(progress.failuresOf, 1_000)
  assert.match(
    describeProgress({ progress, rate: undefined, leftMs: undefined }),
    /^failed {7}2,500, the reasons of 1,000 of them\n {2}rejected/m,
  )
  const all = aProgress(SEALED, { dead_lettered: 3 }, { rejected: 3 })
  assert.equal('failuresOf' in all, false)
})

test('progress: the rate is that of the observed time, and unknown before anything settled in it', () => {
  const at = { total: 100, settled: 50 }
  assert.deepEqual(rateOf([], at), { rate: undefined, leftMs: undefined })
  assert.deepEqual(
    rateOf(
      [
        { at: 0, settled: 50 },
        { at: 9, settled: 50 },
      ],
      at,
    ),
    { rate: undefined, leftMs: undefined },
  )
  const samples = [30, 40, 50].map((settled, n) => ({ at: n * 1_000, settled }))
  assert.deepEqual(rateOf(samples, at), { rate: 10, leftMs: 5_000 })
  assert.deepEqual(rateOf(samples, { total: undefined, settled: 50 }), { rate: 10, leftMs: undefined })
})
