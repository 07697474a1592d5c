import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findPaidTwice, findSentTwice, type MessageViolation, messageViolations } from '../../cli/violations.ts'

const unknown =
  (counts: Readonly<Record<string, number>> = {}) =>
  (key: string, run: number) =>
    counts[`${key}.${run}`] ?? 0

describe('violations: a run is paid once', () => {
  test('one send is no violation', () => {
    assert.deepEqual(findPaidTwice(['a.1.1', 'b.1.1'], unknown()), [])
  })

  test('a second send is one, and names its run', () => {
    assert.deepEqual(findPaidTwice(['a.1.1', 'b.1.1', 'a.1.2'], unknown()), [
      { key: 'a', run: 'a.1', sends: 2, unknown: 0 },
    ])
  })

  test('a second send is none if one attempt is of unknown outcome, and a third is', () => {
    assert.deepEqual(findPaidTwice(['a.1.1', 'a.1.2'], unknown({ 'a.1': 1 })), [])
    assert.deepEqual(findPaidTwice(['a.1.1', 'a.1.2', 'a.1.3'], unknown({ 'a.1': 1 })), [
      { key: 'a', run: 'a.1', sends: 3, unknown: 1 },
    ])
  })

  test('a replay is another run, with unknown attempts of its own', () => {
    assert.deepEqual(findPaidTwice(['a.1.1', 'a.2.1'], unknown()), [])
    assert.deepEqual(findPaidTwice(['a.2.1', 'a.2.2'], unknown({ 'a.1': 1 })), [
      { key: 'a', run: 'a.2', sends: 2, unknown: 0 },
    ])
  })

  test('an attempt that was sent twice is found, and its neighbours are not', () => {
    assert.deepEqual(findSentTwice(['a.1.1', 'a.1.2', 'a.2.1', 'a.1.2']), [['a.1.2', 2]])
  })
})

describe('violations: a message ends, and is acknowledged after its end', () => {
  const table: readonly [boolean, boolean, readonly MessageViolation[]][] = [
    [true, true, []],
    [true, false, ['acknowledged_before_end', 'never_ended']],
    [false, true, ['never_acknowledged']],
    [false, false, ['never_acknowledged', 'never_ended']],
  ]
  for (const [isAcknowledged, hasEnded, expected] of table) {
    test(`acknowledged: ${isAcknowledged}, ended: ${hasEnded}`, () => {
      assert.deepEqual(messageViolations({ isAcknowledged, hasEnded }), expected)
    })
  }
})
