import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { afterAnswer, type Flow, type FlowLimits, roomFor, startFlow } from '../../local/pubsub-push/flow-control.ts'
import type { Answer } from '../../local/pubsub-push/redelivery.ts'

const limits: FlowLimits = { minOutstanding: 1, maxOutstanding: 1_000, minBackoffMs: 100, maxBackoffMs: 60_000 }

function play(answers: readonly (readonly [Answer, number])[], from: Flow = startFlow(limits)): Flow {
  return answers.reduce((flow, [answer, now]) => afterAnswer(flow, answer, now, limits), from)
}

/** The same answer at each of these times. */
const at = (answer: Answer, ...times: readonly number[]) => times.map((now) => [answer, now] as const)
const aFlow = (window: number): Flow => ({ window, backoffMs: 0, backoffUntil: 0 })

describe('slow start', () => {
  test('begins with a small window', () => {
    assert.equal(startFlow(limits).window, 5)
  })

  test('begins with the cap where that is smaller', () => {
    assert.equal(startFlow({ ...limits, maxOutstanding: 2 }).window, 2)
  })

  test('the window doubles when all it let through is acknowledged', () => {
    assert.equal(play(at('acked', 0, 0, 0, 0, 0)).window, 10)
  })

  test('an ack at the cap leaves the window at the cap', () => {
    assert.equal(play(at('acked', 0), aFlow(1_000)).window, 1_000)
  })

  test('a nack leaves the window at its floor', () => {
    assert.equal(afterAnswer(aFlow(12), 'nacked', 0, { ...limits, minOutstanding: 10 }).window, 10)
  })

  test('a nack halves the window, but never below one', () => {
    assert.equal(play(at('nacked', 0), aFlow(3)).window, 1)
    assert.equal(play(at('nacked', 0, 0), aFlow(3)).window, 1)
  })
})

describe('push backoff', () => {
  for (const [what, times, until] of [
    ['the first nack pauses the subscription for the minimum', [5_000], 5_100],
    ['a nack after the pause doubles it', [0, 100], 300],
    ['a nack during the pause, of a message sent before it, does not lengthen it', [0, 99], 100],
  ] as const) {
    test(what, () => {
      assert.equal(play(at('nacked', ...times)).backoffUntil, until)
    })
  }

  test('nothing is sent up to the millisecond before the pause ends', () => {
    const flow = play(at('nacked', 5_000))
    assert.equal(roomFor(flow, 0, 5_099), 0)
    assert.equal(roomFor(flow, 0, 5_100), flow.window)
  })

  test('an ack ends the growth, not the pause that runs', () => {
    const flow = play([...at('nacked', 0, 100), ...at('acked', 150)])
    assert.equal(flow.backoffUntil, 300)
    assert.equal(play(at('nacked', 300), flow).backoffUntil, 400)
  })

  test('an answer that we threw away ourselves changes nothing', () => {
    const flow = play(at('nacked', 0))
    assert.deepEqual(play([...at('lost', 500), ...at('cut', 500)], flow), flow)
  })
})

describe('whatever the answers', () => {
  const answers = fc.array(
    fc.tuple(fc.constantFrom<Answer>('acked', 'nacked', 'lost', 'cut'), fc.nat({ max: 200_000 })),
    { maxLength: 300 },
  )
  const states = fc.record({
    limits: fc.record({
      minOutstanding: fc.constant(1),
      maxOutstanding: fc.integer({ min: 1, max: 50 }),
      minBackoffMs: fc.integer({ min: 1, max: 100 }),
      maxBackoffMs: fc.integer({ min: 100, max: 60_000 }),
    }),
    answers,
  })

  test('the window stays between one and the cap', () => {
    fc.assert(
      fc.property(states, ({ limits, answers }) => {
        let flow = startFlow(limits)
        for (const [answer, now] of answers) {
          flow = afterAnswer(flow, answer, now, limits)
          assert.ok(flow.window >= 1 && flow.window <= limits.maxOutstanding)
        }
      }),
    )
  })

  test('a pause lasts between the minimum and the maximum', () => {
    fc.assert(
      fc.property(states, ({ limits, answers }) => {
        let flow = startFlow(limits)
        for (const [answer, now] of answers) {
          const before = flow.backoffUntil
          flow = afterAnswer(flow, answer, now, limits)
          if (flow.backoffUntil === before) continue
          const pauseMs = flow.backoffUntil - now
          assert.ok(pauseMs >= limits.minBackoffMs && pauseMs <= limits.maxBackoffMs)
        }
      }),
    )
  })

  test('there is never room for more than the window leaves', () => {
    fc.assert(
      fc.property(states, fc.nat({ max: 100 }), fc.nat(), ({ limits, answers }, outstanding, now) => {
        const flow = answers.reduce((state, [answer, at]) => afterAnswer(state, answer, at, limits), startFlow(limits))
        const room = roomFor(flow, outstanding, now)
        assert.ok(room >= 0 && room <= Math.max(0, flow.window - outstanding))
      }),
    )
  })
})
