import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Priority, priorities } from '../../shared/job/priority.ts'
import { createSlots } from '../../worker/limits/slots.ts'

const START = 1_000_000

/** Slots over a clock that the test moves. */
function slotsOf(most: number) {
  const state = { now: START }
  const slots = createSlots(most, () => state.now)
  const held: { readonly batch: string; readonly leave: () => void }[] = []
  return {
    state,
    take(batch: string, priority: Priority = 'normal') {
      const slot = slots.take({ priority, batch })
      if (slot.kind === 'taken') held.push({ batch, leave: slot.leave })
      return slot.kind
    },
    leave(batch: string) {
      const at = held.findIndex((each) => each.batch === batch)
      if (at !== -1) held.splice(at, 1)[0]?.leave()
    },
    held: (batch?: string) => held.filter((each) => batch === undefined || each.batch === batch).length,
  }
}

const fill = (on: ReturnType<typeof slotsOf>, batch: string, priority?: Priority) => {
  while (on.take(batch, priority) === 'taken');
  return on.held(batch)
}

describe('the slots of an instance', () => {
  test('are all for the only batch, of any class', () => {
    for (const priority of priorities) assert.equal(fill(slotsOf(10), 'nightly', priority), 10)
  })

  test('are freed when a job ends', () => {
    const on = slotsOf(1)
    assert.deepEqual([on.take('a'), on.take('a')], ['taken', 'full'])
    on.leave('a')
    assert.equal(on.take('a'), 'taken')
  })

  test('are shared with a batch that was refused: what frees is kept for it, until each has half', () => {
    const on = slotsOf(10)
    fill(on, 'large')
    assert.equal(on.take('small'), 'full')
    on.leave('large')
    assert.equal(on.take('large'), 'not_its_turn')
    assert.equal(on.take('small'), 'taken')
    // It got what it asked for: nothing is kept for it any more.
    on.leave('large')
    assert.equal(on.take('large'), 'taken')
  })

  test('are kept for a refused batch for a minute at most', () => {
    const on = slotsOf(10)
    fill(on, 'large')
    on.take('small')
    on.leave('large')
    on.state.now += 59_999
    assert.equal(on.take('large'), 'not_its_turn')
    on.state.now += 60_000
    assert.equal(on.take('large'), 'taken')
  })

  test('are not kept for a refused batch of another class', () => {
    const on = slotsOf(10)
    fill(on, 'large')
    on.take('small', 'low')
    on.leave('large')
    assert.equal(on.take('large'), 'taken')
  })

  test('are left to more urgent jobs while these arrive, and for a minute after', () => {
    const on = slotsOf(100)
    on.take('urgent', 'high')
    assert.equal(fill(on, 'nightly', 'low'), 60)
    assert.equal(fill(on, 'daily'), 25)
    assert.equal(fill(on, 'urgent', 'high'), 15)
    on.state.now += 60_000
    on.leave('urgent')
    assert.equal(on.take('daily'), 'taken')
  })

  test('are never more than there are, and one is always given to the job that asks while none is used', () => {
    const step = fc.record({
      batch: fc.constantFrom('a', 'b', 'c', ''),
      priority: fc.constantFrom(...priorities),
      isEnd: fc.boolean(),
      afterMs: fc.nat(70_000),
    })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { maxLength: 60 }), (most, steps) => {
        const on = slotsOf(most)
        for (const { batch, priority, isEnd, afterMs } of steps) {
          on.state.now += afterMs
          const before = on.held()
          if (isEnd) on.leave(batch)
          else if (on.take(batch, priority) !== 'taken') assert.ok(before > 0)
          assert.ok(on.held() <= most)
        }
      }),
    )
  })
})
