import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runSoFar, unknownAttempts } from '../../shared/job/attempts.ts'
import { decideClaim } from '../../shared/job/claim.ts'
import type { Release } from '../../shared/job/ending.ts'
import { afterFailure, failureKinds } from '../../shared/job/failures.ts'
import { jobRecord, type RunningRecord } from '../../shared/job/record.ts'
import { ended, nextAttempt, released, requeued, succeeded } from '../../shared/job/transitions.ts'
import { storedBatch } from '../../shared/stores/batch-store.ts'
import { fields, toFields } from '../../shared/stores/firestore/values.ts'
import { readStoredLetter, toStoredLetter } from '../../shared/stores/letter-documents.ts'
import { tokenFailureKind, workerInstanceKind } from '../../shared/stores/telemetry-documents.ts'
import { tokenFailure, workerInstance } from '../../shared/stores/telemetry-store.ts'
import { outcomeOf, recordError, releaseAs, reportOf } from '../../worker/jobs/from-reply.ts'
import { aDeadLetterOf } from '../support/dead-letter-builders.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import {
  aCancel,
  aClaim,
  aDeadLetter,
  aDeadLetteredRecord,
  aJob,
  aLinkedRecord,
  anAmbiguousEnd,
  anAnswer,
  anExpiry,
  aRunningRecord,
  DAY_MS,
  START,
} from '../support/job-builders.ts'
import { lastRelease } from '../support/last-release.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'

// During a rollout the last release and this version share one store, and a rollback leaves this version's documents to it.

const at = { now: START + 1_000, expireAt: START + DAY_MS }
const onDisk = (document: unknown): unknown => JSON.parse(JSON.stringify(document))

const releases: Readonly<Record<string, Release>> = {
  'after a failure that does not count': { marks: 'none', kind: 'throttled', waitMs: 7_000 },
  'after a provider could not serve it': { marks: 'folded', waitMs: 10_000 },
  'after one of several deployments could not serve it': { marks: 'folded', waitMs: 10_000, waitsFor: ['first'] },
  'after a timeout': { marks: 'attempt', outcome: 'unknown', report: { cause: 'timeout', httpStatus: undefined } },
}
const again = (release: Release): RunningRecord => nextAttempt(released(aRunningRecord(), release, START), aClaim())
const timedOut = { kind: 'max_attempts', code: 'timeout', message: 'm', hint: 'h' } as const
const timeout = { outcome: 'unknown', report: { cause: 'timeout' } } as const

/** Each form of record that this version writes. */
const written = {
  running: aRunningRecord(),
  ...Object.fromEntries(Object.entries(releases).map(([when, how]) => [when, released(aRunningRecord(), how, START)])),
  'running again after a provider could not serve it': again({ marks: 'folded', waitMs: 10_000 }),
  'running at another deployment during a wait': nextAttempt(
    released(aRunningRecord(), { marks: 'folded', waitMs: 10_000, waitsFor: ['first'] }, START),
    aClaim(),
    { waitMs: 9_000, waitsFor: ['first'] },
  ),
  'ended by a timeout': ended(aRunningRecord(), aDeadLetter({ error: timedOut, attempt: timeout }), at),
  'of an answer without usage': succeeded(
    aRunningRecord(),
    anAnswer({ usageKnown: false, finishReason: 'unknown' }),
    { in: 'record', text: '{}' },
    at,
  ),
  'of an answer that names its model and its cached tokens': succeeded(
    aRunningRecord(),
    anAnswer({
      usage: { promptTokens: 11, completionTokens: 7, cachedTokens: 8, cacheWriteTokens: 2 },
      report: { model: 'gpt-4o-2024-08-06', tier: 'flex', spilledTo: 'gpt-standard' },
    }),
    { in: 'record', text: '{}' },
    at,
  ),
  'that links an answer': aLinkedRecord(),
  expired: ended(aRunningRecord(), anExpiry, at),
  cancelled: ended(aRunningRecord(), aCancel, at),
  'set back by a sweep': requeued(aRunningRecord(), START),
}

describe('the last release reads a record of this version', () => {
  for (const [what, record] of Object.entries(written)) {
    test(`${what}: in SQLite and in Firestore, with its status and its attempts`, () => {
      const { status, attempts } = record
      const known = { status, attempts: attempts.map(({ run, n, owner }) => ({ run, n, owner })) }
      assert.partialDeepStrictEqual(lastRelease.jobRecord.parse(onDisk(record)), known)
      const stored = lastRelease.fields.parse(toFields({ ...record }))
      assert.partialDeepStrictEqual(lastRelease.jobRecord.parse(stored), known)
    })
  }
})

describe('the last release reads what any failure leaves in the record', () => {
  const deployment = aDeployment({ model: 'm', deployment: 'd' })
  const cases = failureKinds.flatMap((kind) =>
    (['retry', 'dead-letter'] as const).flatMap((onUnknown) =>
      [1, 5].map((maxAttempts) => ({ kind, onUnknown, maxAttempts })),
    ),
  )
  for (const { kind, ...policy } of cases) {
    test(`${kind}, ON_UNKNOWN=${policy.onUnknown}, MAX_ATTEMPTS=${policy.maxAttempts}`, () => {
      const usage = { promptTokens: 1, completionTokens: 2 }
      const failure = { kind, message: 'm', code: 'c', hint: 'h', httpStatus: 500, requestId: 'r', usage }
      const before = again({ marks: 'folded', waitMs: 10_000 })
      const after = afterFailure(failure, runSoFar(before), policy, 0)
      const report = reportOf(failure, deployment)
      const attempt = after.marks === 'none' ? {} : { attempt: { outcome: outcomeOf(failure), report } }
      const record =
        after.next === 'again'
          ? released(before, { waitMs: after.waitMs, ...releaseAs(after.marks, failure, report) }, START)
          : ended(before, { status: 'dead_lettered', error: recordError(failure, after.reason), ...attempt }, at)
      const read = { status: record.status, attempts: record.attempts.map(({ n, outcome }) => ({ n, outcome })) }
      assert.partialDeepStrictEqual(lastRelease.jobRecord.parse(onDisk(record)), onDisk(read))
      assert.partialDeepStrictEqual(
        lastRelease.jobRecord.parse(lastRelease.fields.parse(toFields({ ...record }))),
        onDisk(read),
      )
    })
  }
})

test('the count of attempts that a provider could not serve outlives a claim by the last release', () => {
  const waits = released(aRunningRecord(), { marks: 'folded', waitMs: 10_000 }, START)
  const claimed = lastRelease.nextAttempt(lastRelease.jobRecord.parse(onDisk(waits)), aClaim({ owner: 'b' }))
  assert.equal(unknownAttempts(jobRecord.parse(onDisk(claimed)), 1), 1)
})

describe('this version reads a record of the last release', () => {
  const first = lastRelease.firstRecord(aClaim())
  const ofLastRelease = {
    running: first,
    'that waits after an ambiguous failure': lastRelease.released(
      first,
      { counts: true, outcome: 'unknown', report: { httpStatus: 500 } },
      START,
    ),
    'that waits for quota': lastRelease.released(first, { counts: false, kind: 'throttled' }, START),
    'dead-lettered for a missing deployment': lastRelease.ended(
      first,
      { status: 'dead_lettered', error: { kind: 'no_deployment', message: 'm' } },
      at,
    ),
    succeeded: lastRelease.succeeded(first, anAnswer(), { in: 'record', text: '{}' }, at),
    'in its second run': lastRelease.nextRun(aDeadLetteredRecord(), aClaim({ job: aJob({ run: 2 }) })),
    'set back by a sweep': lastRelease.sweptBack(first, START),
    'cancelled before it was seen': lastRelease.cancelledUnseen(aJob(), at),
  }
  for (const [what, record] of Object.entries(ofLastRelease)) {
    test(`${what}, to the last field`, () => {
      assert.deepEqual(jobRecord.parse(onDisk(record)), record)
      assert.deepEqual(jobRecord.parse(fields.parse(lastRelease.toFields(record))), onDisk(record))
    })
  }

  test('and starts the next attempt of one that waits at once: it holds no wait', () => {
    const record = jobRecord.parse(lastRelease.released(first, { counts: false, kind: 'throttled' }, START))
    const { run, payloadHash } = aJob()
    const decision = decideClaim({ record, ageMs: 0 }, { run, payloadHash, owner: 'b' }, aClaim().policy)
    assert.equal(decision.kind, 'next_attempt')
  })
})

describe('both versions read what the other keeps beside the records', () => {
  test('batches', () => {
    const older = { name: 'nightly', createdAt: START, total: 3, cancelledAt: START, tokenLimit: 5 }
    const swept = { counts: { succeeded: 1 }, tokens: { promptTokens: 3, completionTokens: 1 }, sweptAt: START }
    const newer = { sealedAt: START, activeAt: START, deferredAt: START, incomplete: { at: START + DAY_MS, total: 3 } }
    const read = { status: 'sealed', ...older, ...swept }
    assert.deepEqual(lastRelease.storedBatch.parse({ ...older, ...swept, ...newer }), read)
    const fromFirestore = lastRelease.fields.parse(toFields({ ...older, ...swept, ...newer }))
    assert.deepEqual(lastRelease.storedBatch.parse(fromFirestore), read)
    assert.deepEqual(storedBatch.parse({ ...older, ...swept }), read)
  })

  test('dead letters', () => {
    const { verified, ...letter } = aDeadLetterOf()
    assert.deepEqual(lastRelease.readStoredLetter(onDisk(toStoredLetter({ ...letter, verified }))), letter)
    const begun = { ...letter, replays: { n: 0, begunAt: START } }
    assert.deepEqual(lastRelease.readStoredLetter(onDisk(toStoredLetter(begun))), letter)
    assert.deepEqual(readStoredLetter(letter.id, onDisk(lastRelease.toStoredLetter(letter))), letter)
  })

  test('telemetry', () => {
    const failure = aTokenFailure()
    assert.deepEqual(lastRelease.tokenFailure.parse(onDisk(tokenFailure.parse(failure))), failure)
    const instance = aWorkerInstance()
    assert.deepEqual(lastRelease.workerInstance.parse(onDisk(workerInstance.parse(instance))), instance)
    assert.deepEqual(tokenFailureKind.read(onDisk(lastRelease.tokenFailure.parse(failure))), failure)
    assert.deepEqual(workerInstanceKind.read(onDisk(lastRelease.workerInstance.parse(instance))), instance)
  })
})

test('an attempt that ended ambiguously is written in the words of the last release', () => {
  const { attempts } = released(aRunningRecord(), anAmbiguousEnd, START)
  const outcomes = attempts.map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, ['unknown'])
})
