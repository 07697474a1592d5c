import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_WAIT_MS } from '../../shared/job/failures.ts'
import { describePace, firstPace, onReply, release, take } from '../../shared/models/pacing/governor.ts'
import type { Pace, PaceReply } from '../../shared/models/pacing/pace.ts'

const T0 = 1_700_000_000_000

interface Sent {
  readonly at: number
  readonly tokens: number
}

/** Sends jobs as soon as the pace allows them, each a little late, and answers them at once. */
function drain(first: Pace, jobs: readonly number[], lateMs: readonly number[], answer: Partial<PaceReply>): Sent[] {
  let [pace, now] = [first, T0]
  return jobs.map((tokens, index) => {
    for (;;) {
      const [after, turn] = take(pace, { tokens }, now, 0.5)
      pace = after
      if (turn.kind === 'go') break
      now += turn.forMs + (lateMs[index % lateMs.length] ?? 0)
    }
    pace = onReply(pace, { need: { tokens }, ...answer }, now, 0.5)
    return { at: now, tokens }
  })
}

/** The most that was sent within any window of a length. */
function mostWithin(sent: readonly Sent[], lengthMs: number, amountOf: (each: Sent) => number): number {
  const sums = sent.map(({ at }) =>
    sent.filter((each) => each.at <= at && each.at > at - lengthMs).reduce((sum, each) => sum + amountOf(each), 0),
  )
  return Math.max(0, ...sums)
}

const anyLateness = fc.array(fc.nat({ max: 3_000 }), { minLength: 1, maxLength: 10 })

test('governor: one instance never exceeds the windows of a known quota by more than one job', () => {
  const rpm = fc.integer({ min: 1, max: 3_000 })
  const tpm = fc.integer({ min: 1_000, max: 1_000_000 })
  const jobs = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 120 })
  fc.assert(
    fc.property(rpm, tpm, jobs, anyLateness, (rpm, tpm, jobs, lateMs) => {
      const pace = firstPace({ rpm, tpm, maxInstances: 1, settling: 'on-arrival' }, T0)
      const sent = drain(pace, jobs, lateMs, {})
      assert.ok(mostWithin(sent, 1_000, () => 1) <= rpm / 60 + 1)
      assert.ok(mostWithin(sent, 10_000, () => 1) <= rpm / 6 + 1)
      assert.ok(mostWithin(sent, 60_000, ({ tokens }) => tokens) <= tpm + Math.max(...jobs))
    }),
    { numRuns: 200 },
  )
})

const anyNumber = fc.oneof(fc.double(), fc.integer({ min: -2, max: 5_000 }), fc.constantFrom(-1, 0, 1e300, undefined))
const anyLimit = fc.constantFrom('quota', 'capacity', 'lowered', 'provisioned', 'enqueued')
/** One event: its delay, which may be a clock that is set back; what is taken; and what the reply says. */
const anyEvent = fc.record({
  afterMs: fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: -3_600_000, max: 3_600_000 })),
  tokens: anyNumber.map((tokens) => tokens ?? 10),
  isSent: fc.boolean(),
  isFault: fc.boolean(),
  sentAt: fc.option(fc.integer({ min: T0 - 100_000, max: T0 + 100_000 }), { nil: undefined }),
  usedTokens: anyNumber,
  rateLimit: fc.option(
    fc.record({
      limitRequests: anyNumber,
      limitTokens: anyNumber,
      remainingRequests: anyNumber,
      remainingTokens: anyNumber,
    }),
    { nil: undefined },
  ),
  refusal: fc.option(fc.record({ limit: anyLimit, retryAfterMs: anyNumber }), { nil: undefined }),
})
type AnyEvent = typeof anyEvent extends fc.Arbitrary<infer E> ? E : never
const anySettings = fc.record({
  rpm: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
  tpm: fc.option(fc.integer({ min: 1, max: 10_000_000 }), { nil: undefined }),
  maxInstances: fc.option(fc.integer({ min: 1, max: 1_000 }), { nil: undefined }),
  settling: fc.constantFrom('on-arrival' as const, 'by-use' as const),
})

function live(first: Pace, events: readonly AnyEvent[]): [Pace, number] {
  return events.reduce<[Pace, number]>(
    ([pace, before], { afterMs, tokens, isSent, rateLimit, ...reply }) => {
      const now = before + afterMs
      const [after, turn] = take(pace, { tokens }, now, 0.5)
      if (turn.kind === 'wait') assert.ok(turn.forMs >= 1 && turn.forMs <= MAX_WAIT_MS && Number.isInteger(turn.forMs))
      if (turn.kind === 'wait') return [after, now]
      const known = Object.entries(rateLimit ?? {}).filter(([, value]) => value !== undefined)
      const said = { ...reply, rateLimit: Object.fromEntries(known) }
      return [isSent ? onReply(after, { need: { tokens }, ...said }, now, 0.5) : release(after, { tokens }, now), now]
    },
    [first, T0],
  )
}

/** Every number of a state, wherever it is. */
function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : []
}

test('governor: no header, refusal or clock makes a rate, a wait or a state that is no number', () => {
  fc.assert(
    fc.property(anySettings, fc.array(anyEvent, { maxLength: 30 }), (settings, events) => {
      const [pace, now] = live(firstPace(settings, T0), events)
      assert.ok(numbersIn(pace).every(Number.isFinite))
      const report = describePace(pace, now)
      assert.ok(numbersIn(report).every((value) => Number.isFinite(value) && value >= 0))
      assert.ok(report.rate.rpm > 0 && report.rate.tpm > 0 && report.mostUnderWay >= 1)
    }),
    { numRuns: 200 },
  )
})

test('governor: a wait ends when it says, and what may go now may go later', () => {
  const later = fc.nat({ max: 3_600_000 })
  fc.assert(
    fc.property(anySettings, fc.array(anyEvent, { maxLength: 20 }), later, (settings, events, laterMs) => {
      const [pace, now] = live(firstPace(settings, T0), events)
      const need = { tokens: 500 }
      const [, turn] = take(pace, need, now, 0.5)
      const forMs = turn.kind === 'go' ? 0 : turn.forMs
      assert.equal(take(pace, need, now + forMs + laterMs, 0.5)[1].kind, 'go')
      if (forMs > 1) assert.equal(take(pace, need, now + Math.floor(forMs / 2), 0.5)[1].kind, 'wait')
    }),
    { numRuns: 200 },
  )
})

test('governor: after any headers and refusals, good replies bring the rate back to the quota within an hour', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 20 }), (events) => {
      const rpm = 60
      let [pace, now] = live(firstPace({ rpm, maxInstances: 1, settling: 'on-arrival' }, T0), events)
      const until = now + 6 * MAX_WAIT_MS
      const need = { tokens: 100 }
      while (now < until) {
        const [after, turn] = take(pace, need, now, 0.5)
        pace = turn.kind === 'go' ? onReply(after, { need, rateLimit: { limitRequests: rpm } }, now, 0.5) : after
        now += turn.kind === 'go' ? 0 : turn.forMs
      }
      assert.ok(describePace(pace, now).rate.rpm > rpm * 0.9)
    }),
    { numRuns: 20 },
  )
})
