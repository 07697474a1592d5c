import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { learnUse, NOTHING_LEARNED, needOf } from '../../shared/models/pacing/estimate.ts'
import { createPacing, type PaceEntry, type Pacing, type Permit } from '../../shared/models/pacing/pacing.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aReply, failed } from '../support/virtual-jobs.ts'

const deployment = aDeployment({ rpm: 60 })
const other = aDeployment({ deployment: 'other', rpm: 60 })
const body = { messages: [], max_tokens: 10 }

function paced() {
  const clock = { now: 1_000_000 }
  const pacing = createPacing({ now: () => clock.now, random: () => 0, maxInstances: 1 })
  return { clock, pacing }
}

function permitOf(entry: PaceEntry | ReturnType<Pacing['again']>): Permit {
  assert.ok(entry.isAllowed)
  return entry.permit
}

/** Takes requests until the pace asks to wait. */
function useUp(pacing: Pacing) {
  for (let n = 0; n < 100; n += 1) if (!pacing.again(deployment, body, undefined).isAllowed) return
  assert.fail('the pace never asks to wait')
}

/** Whether a promise has resolved by now. */
async function hasResolved(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => true), Promise.resolve().then(() => Promise.resolve(false))])
}

describe('the jobs that wait for a deployment', () => {
  test('go in the order in which they came, although a later one asks first', () => {
    const { clock, pacing } = paced()
    useUp(pacing)
    const [first, second] = [pacing.join(body), pacing.join(body)]
    assert.deepEqual(
      [first, second].map((each) => each.enter(deployment, undefined).isAllowed),
      [false, false],
    )
    clock.now += 600_000
    assert.equal(second.enter(deployment, undefined).isAllowed, false)
    assert.equal(first.enter(deployment, undefined).isAllowed, true)
  })

  test('have a wait that grows with the queue before them, so that one that cannot start in time is refused at once', () => {
    const { pacing } = paced()
    useUp(pacing)
    const waits = Array.from({ length: 30 }, () => {
      const entry = pacing.join(body).enter(deployment, undefined)
      return entry.isAllowed ? 0 : entry.waitFor
    })
    assert.ok(waits.every((wait, at) => at < 2 || wait >= (waits[at - 1] ?? 0)))
    assert.ok((waits.at(-1) ?? 0) > 20_000)
  })

  test('are woken when the one before them goes, or leaves its place', async () => {
    const { clock, pacing } = paced()
    useUp(pacing)
    const [first, second, third] = [pacing.join(body), pacing.join(body), pacing.join(body)]
    first.enter(deployment, undefined)
    const [ofSecond, ofThird] = [second.enter(deployment, undefined), third.enter(deployment, undefined)]
    assert.ok(!ofSecond.isAllowed && !ofThird.isAllowed)
    assert.equal(await hasResolved(ofSecond.sooner), false)
    first.leave()
    assert.equal(await hasResolved(ofSecond.sooner), true)
    assert.equal(await hasResolved(ofThird.sooner), false)
    clock.now += 600_000
    permitOf(second.enter(deployment, undefined))
    assert.equal(await hasResolved(ofThird.sooner), true)
  })

  test('do not wait for one that was let through by another deployment, or passes this one', () => {
    const { clock, pacing } = paced()
    useUp(pacing)
    const [first, second, third] = [pacing.join(body), pacing.join(body), pacing.join(body)]
    for (const each of [first, second, third]) each.enter(deployment, undefined)
    permitOf(first.enter(other, undefined))
    second.pass(deployment)
    clock.now += 600_000
    assert.equal(third.enter(deployment, undefined).isAllowed, true)
  })

  test('are refused as throttled, with the wait', () => {
    const { pacing } = paced()
    const permit = permitOf(pacing.again(deployment, body, undefined))
    permit.replied(failed('throttled', { retryAfterMs: 30_000, limit: 'capacity' }), 10)
    const entry = pacing.join(body).enter(deployment, undefined)
    assert.ok(!entry.isAllowed)
    assert.equal(entry.waitFor, 30_000)
    assert.partialDeepStrictEqual(entry.failure, { kind: 'throttled', retryAfterMs: 30_000, limit: 'capacity' })
  })
})

describe('a permit', () => {
  test('that is released takes nothing, and only its first end counts', () => {
    const { pacing } = paced()
    const permit = permitOf(pacing.again(deployment, body, undefined))
    assert.equal(pacing.report(deployment).underWay, 1)
    permit.release()
    permit.replied(failed('throttled', { retryAfterMs: 30_000 }), 0)
    assert.deepEqual([pacing.report(deployment).underWay, pacing.report(deployment).pausedForMs], [0, 0])
  })

  test('whose request never reached the quota stops no other', () => {
    for (const kind of ['unreachable', 'unauthorized', 'forbidden', 'no_deployment'] as const) {
      const { pacing } = paced()
      permitOf(pacing.again(deployment, body, undefined)).replied(failed(kind), 0)
      permitOf(pacing.again(deployment, body, undefined))
    }
  })
})

test('a shorter minute of the provider shortens every wait', () => {
  const pacing = createPacing({ now: () => 1_000_000, random: () => 0, maxInstances: 1, minuteMs: 10_000 })
  permitOf(pacing.again(deployment, body, undefined)).replied(failed('throttled', { retryAfterMs: 6_000 }), 0)
  const entry = pacing.again(deployment, body, undefined)
  assert.equal(!entry.isAllowed && entry.waitFor, 6_000)
})

describe('the estimate of a request', () => {
  const prompt = { messages: [{ role: 'user', content: 'x'.repeat(4_000) }] }

  test('is a quarter of its characters and its output cap, also one that is added', () => {
    const least = needOf({ ...prompt, max_tokens: 50, n: 2 }, undefined, NOTHING_LEARNED).tokens
    assert.equal(needOf({ ...prompt, n: 2 }, 50, NOTHING_LEARNED).tokens, least)
    assert.ok(least >= 1_100 && least < 1_110)
  })

  test('follows the real tokens of prompts, and of answers without a cap', () => {
    let learned = NOTHING_LEARNED
    for (let n = 0; n < 200; n += 1)
      learned = learnUse(learned, prompt, undefined, { promptTokens: 2_000, completionTokens: 300 })
    const { tokens } = needOf(prompt, undefined, learned)
    assert.ok(tokens > 2_290 && tokens < 2_310, `${tokens}`)
  })

  test('is bounded for an answer whose usage cannot be meant', () => {
    const learned = learnUse(NOTHING_LEARNED, prompt, undefined, { promptTokens: 1e15, completionTokens: 1e15 })
    assert.ok(needOf(prompt, undefined, learned).tokens < 60_000)
  })

  test('of one answer is learned by the usage it has', () => {
    const { pacing } = paced()
    permitOf(pacing.again(deployment, body, undefined)).replied(aReply(), 5)
    assert.equal(pacing.report(deployment).underWay, 0)
  })
})
