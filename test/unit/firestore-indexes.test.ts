import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { INDEX_NEEDS } from '../../shared/stores/firestore/check-indexes.ts'
import { aDeadLetterOf } from '../support/dead-letter-builders.ts'
import {
  aCancelledRecord,
  aDeadLetteredRecord,
  aLinkedRecord,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../support/job-builders.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'

/** What our queries compare or sort by. Every other index would cost each write something, and answer nothing. */
const QUERIED: Readonly<Record<string, readonly string[]>> = {
  promptJobs: ['batch', 'status', 'due'],
  // The last release finds the parts of an answer by their owner.
  parts: ['owner'],
  promptBatches: ['createdAt', 'toSweep'],
  deadLetters: ['batch', 'reason', 'model'],
  tokenFailures: ['lastAt'],
  workerInstances: ['at'],
}

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  promptJobs: [
    ...new Set(
      [
        aRunningRecord({ deadline: START }),
        aWaitingRecord(),
        aSucceededRecord,
        aLinkedRecord(),
        aDeadLetteredRecord(),
        anExpiredRecord,
        aCancelledRecord,
      ].flatMap(Object.keys),
    ),
    'day',
    'tally',
  ],
  parts: ['owner', 'n', 'text', 'bytes', 'expireAt'],
  promptBatches: [
    ...['name', 'createdAt', 'total', 'cancelledAt', 'completedAt', 'tokenLimit'],
    ...['source', 'linked'],
    ...['counts', 'tokens', 'sweptAt', 'toSweep', 'sealedAt', 'fingerprint', 'activeAt', 'deferredAt', 'incomplete'],
  ],
  dailyTokens: ['day', 'tokens', 'sweptAt'],
  deadLetters: [...Object.keys(aDeadLetterOf()), 'raw', 'parts'],
  tokenFailures: Object.keys(aTokenFailure()),
  workerInstances: Object.keys(aWorkerInstance()),
  missingDeployments: ['deployment', 'lastedMs', 'isOver', 'lastAt', 'expireAt'],
}

const { indexes, fieldOverrides } = z
  .strictObject({
    indexes: z.array(z.unknown()),
    fieldOverrides: z.array(
      z.strictObject({
        collectionGroup: z.string(),
        fieldPath: z.string(),
        ttl: z.boolean().optional(),
        indexes: z.tuple([]),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, '../../deploy/firestore.indexes.json'), 'utf8')))

/** Each sum needs one. */
const COMPOSITE = [
  ['batch', 'usage.completionTokens', 'usage.promptTokens'],
  ['day', 'usage.completionTokens', 'usage.promptTokens'],
  ['batch', 'tally.s0', 'tally.s1', 'tally.s2'],
]

test('the tokens of a batch, or of a day, and the statuses of a batch are summed by a composite index each', () => {
  const order = 'ASCENDING'
  const expected = COMPOSITE.map((fields) => ({
    ...{ collectionGroup: 'promptJobs', queryScope: 'COLLECTION' },
    fields: fields.map((fieldPath) => ({ fieldPath, order })),
  }))
  assert.deepEqual(indexes, expected)
})

test('the doctor asks for every index that is queried, and for no other', () => {
  const asked = INDEX_NEEDS.map(({ collection, fields }) => `${collection}: ${fields}`)
  const composite = COMPOSITE.map((fields) => `promptJobs: ${fields}`)
  // Parts lie below one document each, of which there is none to ask.
  const { parts: _, ...collections } = QUERIED
  const single = Object.entries(collections).flatMap(([name, fields]) => fields.map((field) => `${name}: ${field}`))
  assert.deepEqual(asked.toSorted(), [...composite, ...single].toSorted())
})

for (const [collection, fields] of Object.entries(FIELDS)) {
  const exempt = fieldOverrides.filter(({ collectionGroup }) => collectionGroup === collection)

  test(`${collection}: what is queried is indexed, and nothing else`, () => {
    const queried = QUERIED[collection] ?? []
    const expected = fields.filter((field) => !queried.includes(field))
    assert.deepEqual(exempt.map(({ fieldPath }) => fieldPath).toSorted(), expected.toSorted())
  })

  test(`${collection}: expireAt, where there is one, deletes the document`, () => {
    const withTtl = exempt.filter(({ ttl }) => ttl === true).map(({ fieldPath }) => fieldPath)
    assert.deepEqual(withTtl, fields.includes('expireAt') ? ['expireAt'] : [])
  })
}
