import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { jobRecord } from '../../shared/job/record.ts'
import { fromEpochMs, fromRevision, timestamp, toEpochMs, toRevision } from '../../shared/stores/firestore/protocol.ts'
import { storedBytes } from '../../shared/stores/firestore/stored-bytes.ts'
import { fields, toFields } from '../../shared/stores/firestore/values.ts'
import {
  aDeadLetteredRecord,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../support/job-builders.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'

/** As Firestore sends it back: 64-bit integers as text, and without what is empty. */
function overTheWire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (name, part: unknown) => {
    if (name === 'integerValue' || name === 'seconds') return String(part)
    const isEmpty = typeof part === 'object' && part !== null && Object.keys(part).length === 0
    return isEmpty && (name === 'fields' || name === 'values') ? undefined : part
  })
}

const readBack = (map: Parameters<typeof toFields>[0]) => fields.parse(overTheWire(toFields(map)))

describe('a record', () => {
  const records = {
    running: aRunningRecord(),
    waiting: aWaitingRecord(),
    succeeded: aSucceededRecord,
    dead_lettered: aDeadLetteredRecord(),
    expired: anExpiredRecord,
    'without metadata and attempts': aRunningRecord({ metadata: {}, attempts: [] }),
    'with counted failures': aRunningRecord({ uncounted: { throttled: 3, token: 1 } }),
  }
  for (const [which, record] of Object.entries(records)) {
    test(`that is ${which} comes back as it was written`, () => {
      assert.deepEqual(jobRecord.parse(readBack(record)), jobRecord.parse(record))
    })
  }

  test('has no field for what is undefined', () => {
    assert.equal(Object.hasOwn(toFields(aRunningRecord({ model: undefined })), 'model'), false)
  })

  test('keeps its times as timestamps, which alone a policy can delete by', () => {
    assert.deepEqual(toFields(aSucceededRecord)['expireAt'], {
      timestampValue: fromEpochMs(aSucceededRecord.expireAt),
    })
    const [attempt] = toFields(aRunningRecord())['attempts']?.arrayValue?.values ?? []
    assert.deepEqual(attempt?.mapValue?.fields?.['startedAt'], { timestampValue: fromEpochMs(START) })
  })
})

describe('telemetry', () => {
  test('of a failure comes back as it was written, its list of numbers too', () => {
    assert.deepEqual(readBack(aTokenFailure()), aTokenFailure())
  })

  test('of an instance comes back as it was written, its counts by outcome too', () => {
    assert.deepEqual(readBack(aWorkerInstance()), aWorkerInstance())
  })

  for (const [what, document, times] of [
    ['a failure', aTokenFailure(), ['expireAt', 'firstAt', 'lastAt', 'nextTryAt', 'resolvedAt']],
    ['an instance', aWorkerInstance(), ['at', 'expireAt', 'startedAt']],
  ] as const) {
    test(`of ${what} keeps its times as timestamps, and no other number`, () => {
      const written = Object.entries(toFields(document))
      const kept = written.filter(([, { timestampValue }]) => timestampValue !== undefined).map(([name]) => name)
      assert.deepEqual(kept.toSorted(), times)
    })
  }
})

describe('whatever a map holds', () => {
  const text = fc.string({ unit: 'binary' })
  /** Firestore keeps the other names for itself; the parser of jobs lets none of them in. */
  const name = text.filter((name) => name !== '' && !/^__.*__$/s.test(name))
  const scalar = fc.oneof(text, fc.maxSafeInteger(), fc.boolean())
  const mapOf = <T>(value: fc.Arbitrary<T>) => fc.dictionary(name, value, { maxKeys: 3, noNullPrototype: true })
  const attempt = mapOf(fc.oneof(scalar, mapOf(scalar)))
  const plain = fc.oneof(scalar, mapOf(scalar), fc.array(fc.oneof(scalar, attempt), { maxLength: 3 }))

  test('it is read back as it was written', () =>
    fc.assert(
      fc.property(mapOf(plain), (map) => {
        assert.deepEqual(readBack(map), map)
      }),
    ))
})

describe('what was edited by hand', () => {
  test('is read field by field: a fraction as a number, null and unknown kinds as if they were not there', () => {
    const edited = {
      text: { stringValue: 'x' },
      fraction: { doubleValue: 1.5 },
      nothing: { nullValue: 'NULL_VALUE' },
      notANumber: { doubleValue: Number.NaN },
      place: { geoPointValue: { latitude: 1, longitude: 2 } },
      reference: { referenceValue: 'projects/p/databases/(default)/documents/a/b' },
      kindOfTomorrow: { tomorrowValue: 1 },
      map: { mapValue: { fields: { nothing: { nullValue: 'NULL_VALUE' }, n: { integerValue: '12' } } } },
      empty: { mapValue: {} },
    }
    assert.deepEqual(fields.parse(edited), { text: 'x', fraction: 1.5, map: { n: 12 }, empty: {} })
  })

  test('leaves every item of a list in its place', () => {
    const values = [{ nullValue: 'NULL_VALUE' }, { booleanValue: true }, { geoPointValue: {} }]
    assert.deepEqual(fields.parse({ list: { arrayValue: { values } } }), { list: [null, true, null] })
  })
})

describe('a time', () => {
  const times = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 })

  test('in milliseconds comes back exactly, before 1970 too', () =>
    fc.assert(
      fc.property(times, (ms) => {
        assert.equal(toEpochMs(fromEpochMs(ms)), ms)
      }),
    ))

  test('before 1970 has nanoseconds that count forward, as the protocol asks', () => {
    assert.deepEqual(fromEpochMs(-1), { seconds: -1, nanos: 999_000_000 })
  })

  test('whose nanoseconds do not come has none', () => {
    assert.deepEqual(timestamp.parse({ seconds: '1760000000' }), { seconds: 1_760_000_000, nanos: 0 })
  })
})

describe('a revision', () => {
  test('keeps every nanosecond of the store’s time', () =>
    fc.assert(
      fc.property(fc.nat({ max: 253_402_300_799 }), fc.nat({ max: 999_999_999 }), (seconds, nanos) => {
        assert.deepEqual(fromRevision(toRevision({ seconds, nanos })), { seconds, nanos })
      }),
    ))

  test('of one nanosecond is not that of ten', () => {
    assert.notEqual(toRevision({ seconds: 1, nanos: 1 }), toRevision({ seconds: 1, nanos: 10 }))
    assert.deepEqual(fromRevision(toRevision({ seconds: 1, nanos: 10 })), { seconds: 1, nanos: 10 })
  })
})

// https://firebase.google.com/docs/firestore/storage-size
describe('the size of a document', () => {
  const sizes: readonly (readonly [string, Parameters<typeof toFields>[0], number])[] = [
    ['that is empty is 32 bytes', {}, 32],
    ['counts a text by its bytes and one more, and its name likewise', { name: 'ü' }, 32 + 5 + 3],
    ['counts characters that JSON escapes once', { text: '"\n\0' }, 32 + 5 + 4],
    ['counts eight bytes for a number', { n: 1 }, 32 + 2 + 8],
    ['counts eight bytes for a time', { createdAt: 1 }, 32 + 10 + 8],
    ['counts the values of a list', { list: ['a', 'b'] }, 32 + 5 + 2 + 2],
    ['counts a map like a document', { map: { a: 'b' } }, 32 + 4 + 32 + 2 + 2],
  ]
  for (const [fact, map, bytes] of sizes) {
    test(fact, () => {
      assert.equal(storedBytes(toFields(map)), bytes)
    })
  }
})
