import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describePace, firstPace, onReply, release, take } from '../../shared/models/pacing/governor.ts'
import type { Pace } from '../../shared/models/pacing/pace.ts'

const T0 = 1_700_000_000_000
const NEED = { tokens: 100 }

function taken(pace: Pace, now: number): Pace {
  const [after, turn] = take(pace, NEED, now, 0)
  assert.equal(turn.kind, 'go')
  return after
}

test('governor: the first request goes at once', () => {
  taken(firstPace({ settling: 'on-arrival' }, T0), T0)
})

test('governor: requests are spread evenly over what one of several instances begins with', () => {
  // A quarter of the quota, of which 99 % is used: one in 405 ms. Of these, 200 may be caught up.
  const pace = taken(firstPace({ rpm: 600, maxInstances: 10, settling: 'on-arrival' }, T0), T0)
  const [, turn] = take(pace, NEED, T0, 0)
  assert.deepEqual(turn, { kind: 'wait', forMs: 205 })
})

test('governor: a refusal stops all requests for the time that the provider asks for', () => {
  const pace = taken(firstPace({ settling: 'on-arrival' }, T0), T0)
  const refused = onReply(pace, { need: NEED, refusal: { limit: 'quota', retryAfterMs: 5_000 } }, T0 + 10, 0)
  const [, turn] = take(refused, NEED, T0 + 10, 0)
  assert.deepEqual(turn, { kind: 'wait', forMs: 5_000 })
})

test('governor: a limit header below the configured quota is the effective limit', () => {
  const pace = taken(firstPace({ tpm: 10_000, settling: 'on-arrival' }, T0), T0)
  const after = onReply(pace, { need: NEED, rateLimit: { limitTokens: 2_000 } }, T0 + 10, 0)
  assert.deepEqual(describePace(after, T0 + 10).effective, { tpm: 2_000 })
  assert.deepEqual(describePace(after, T0 + 10).configured, { tpm: 10_000 })
})

test('governor: a request that was not sent takes nothing', () => {
  const pace = taken(firstPace({ rpm: 60, tpm: 60_000, maxInstances: 1, settling: 'on-arrival' }, T0), T0)
  taken(release(pace, NEED, T0), T0)
})

test('governor: a clock that is set back makes nothing wait for the difference', () => {
  const pace = taken(firstPace({ rpm: 60, maxInstances: 1, settling: 'on-arrival' }, T0), T0)
  const [, turn] = take(pace, NEED, T0 - 3_600_000, 0)
  assert.deepEqual(turn, { kind: 'wait', forMs: 811 })
})
