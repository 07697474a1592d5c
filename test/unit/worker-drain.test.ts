import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDrain } from '../../worker/delivery/drain.ts'

test('a drain that has not begun has neither begun nor ended', () => {
  const { begun, over } = createDrain()
  assert.deepEqual([begun.aborted, over.aborted], [false, false])
})

test('a drain is over at the very millisecond that its grace ends, and not before', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { begun, over, begin } = createDrain()
  begin(6_000)
  assert.deepEqual([begun.aborted, over.aborted], [true, false])
  t.mock.timers.tick(5_999)
  assert.equal(over.aborted, false)
  t.mock.timers.tick(1)
  assert.equal(over.aborted, true)
})

test('a drain that begins again keeps the grace it has', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { over, begin } = createDrain()
  begin(6_000)
  t.mock.timers.tick(3_000)
  begin(6_000)
  t.mock.timers.tick(3_000)
  assert.equal(over.aborted, true)
})
