import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultName, faultSchema, isServedFirst, meetFaults, type Placed, type Target } from '../../local/faults.ts'

const call: Target = { path: '/openai/v1/chat/completions', clientRequestId: 'doc-7/1', aside: false }

const place = (...faults: readonly unknown[]): readonly Placed[] =>
  faults.map((fault) => ({ fault: faultSchema.parse(fault), met: 0, struck: 0 }))

/** The names of the faults that strike so many calls in a row. */
function strikes(placed: readonly Placed[], calls: readonly Target[]): readonly string[] {
  let left = placed
  return calls.map((target) => {
    const result = meetFaults(left, target)
    left = result.left
    return result.hit === undefined ? '-' : faultName(result.hit)
  })
}

test('a fault with times strikes so many calls and is gone', () => {
  const placed = place({ kind: 'hang', times: 2 })
  assert.deepEqual(strikes(placed, [call, call, call]), ['hang', 'hang', '-'])
})

test('a fault without times strikes until it is cleared', () => {
  assert.deepEqual(strikes(place({ kind: 'garbage' }), [call, call, call]), ['garbage', 'garbage', 'garbage'])
})

test('a fault with every strikes each n-th call', () => {
  const placed = place({ kind: 'reset', every: 3 })
  const struck = 'reset after request'
  assert.deepEqual(strikes(placed, [call, call, call, call, call, call]), ['-', '-', struck, '-', '-', struck])
})

test('of every third call, the first two only', () => {
  const placed = place({ kind: 'hang', every: 3, times: 2 })
  assert.equal(
    strikes(
      placed,
      Array.from({ length: 12 }, () => call),
    ).join(''),
    '--hang--hang------',
  )
})

test('the first fault placed wins, and those behind it do not count the call', () => {
  const placed = place({ kind: 'hang', times: 1 }, { kind: 'status', status: 503, times: 1 })
  assert.deepEqual(strikes(placed, [call, call, call]), ['hang', 'status 503', '-'])
})

test('a fault whose turn it is not lets the next one strike', () => {
  const placed = place({ kind: 'hang', every: 2 }, { kind: 'garbage' })
  assert.deepEqual(strikes(placed, [call, call]), ['garbage', 'hang'])
})

test('match is a part of the path, job the beginning of the client request id', () => {
  const placed = place({ kind: 'hang', match: '/chat/', job: 'doc-7/' })
  const others = [
    { ...call, path: '/openai/v1/embeddings' },
    { ...call, clientRequestId: 'doc-77/1' },
    { ...call, clientRequestId: undefined },
  ]
  assert.deepEqual(strikes(placed, [...others, call]), ['-', '-', '-', 'hang'])
})

test('published keys meet only a fault that names their path', () => {
  const keys: Target = { path: '/oauth2/v3/certs', clientRequestId: undefined, aside: true }
  assert.deepEqual(strikes(place({ kind: 'hang' }), [keys]), ['-'])
  assert.deepEqual(strikes(place({ kind: 'hang', match: 'certs' }), [keys]), ['hang'])
})

test('a call is served first when the fault says it was billed, or when its answer has begun', () => {
  const first = (fault: unknown) => isServedFirst(faultSchema.parse(fault))
  assert.equal(first({ kind: 'hang', billed: true }), true)
  assert.equal(first({ kind: 'hang' }), false)
  assert.equal(first({ kind: 'reset', after: 'half-body' }), true)
  assert.equal(first({ kind: 'reset', after: 'headers' }), true)
  assert.equal(first({ kind: 'reset', after: 'request' }), false)
})
