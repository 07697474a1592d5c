import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { governed } from './fleet/ours.ts'
import type { Policy } from './fleet/policy.ts'
import { type Delivery, type Message, startPushes } from './fleet/push-subscription.ts'
import { nackAtOnce, pRetryDefaults, sdkDefaults, tokenBucket } from './fleet/rivals.ts'
import { type FleetRun, runFleet } from './fleet/run-fleet.ts'
import { createVirtualTime } from './fleet/virtual-time.ts'
import { runStorm } from './storm/run-storm.ts'

const RUN: Omit<FleetRun, 'policy'> = {
  ...{ instances: 4, jobs: 300, quota: { rpm: 600, tpm: 100_000 }, meanTokens: 1_000 },
  ...{ refusedUseQuota: true, faultyHeaders: 0.2, seed: 1 },
}
const ours = governed('ours', (quota) => quota)

describe('a fleet in virtual time', () => {
  for (const policy of [ours, sdkDefaults, pRetryDefaults, nackAtOnce, tokenBucket]) {
    test(`ends every job with ${policy.name}, and gives the same result for the same seed`, () => {
      const result = runFleet({ ...RUN, policy })
      assert.equal(result.ended, RUN.jobs)
      assert.ok(result.granted >= RUN.jobs - result.deadLetters)
      assert.deepEqual(runFleet({ ...RUN, policy }), result)
      assert.notDeepEqual(runFleet({ ...RUN, policy, seed: 2 }), result)
    })
  }

  test('drains no faster than the quota and the first full minute of it allow', () => {
    const { drainMs, idealMs } = runFleet({ ...RUN, policy: nackAtOnce })
    assert.ok(drainMs > idealMs - 60_000)
  })

  test('counts a job that is held past its ack deadline, and delivers it again', () => {
    let held = 0
    const holdsFirst: Policy = {
      name: 'holds the first',
      start: () => ({
        handle(job) {
          held += 1
          if (held > 1) job.answer('acked')
        },
      }),
    }
    const result = runFleet({ ...RUN, instances: 1, jobs: 1, policy: holdsFirst })
    assert.deepEqual([result.missedDeadlines, result.deliveries, result.ended], [1, 2, 1])
  })
})

test('virtual time that stops goes on later with everything that is planned', () => {
  const time = createVirtualTime(0)
  const happened: number[] = []
  for (const ms of [10, 20, 30]) time.after(ms, () => happened.push(time.now()))
  time.run(() => false, 15)
  time.run(() => false, 25)
  assert.deepEqual(happened, [10, 20])
  time.run(() => false, 100)
  assert.deepEqual(happened, [10, 20, 30])
})

describe('a storm in virtual time', () => {
  test('ends every job, and grants no more than the limits allow and one full minute', () => {
    const limits = { requestsPerMinute: 600, tokensPerMinute: 60_000, minuteMs: 60_000, refusedUseQuota: true }
    const deployments = (startsAt: number) => [
      { ...limits, lowered: [], noCapacity: [{ from: startsAt + 60_000, until: startsAt + 120_000 }] },
    ]
    const run = { policy: ours, instances: 2, jobs: 400, meanTokens: 1_000, faultyHeaders: 0.2, seed: 1 }
    const result = runStorm({ ...run, deployments })
    assert.deepEqual([result.ended, result.missedDeadlines, result.allowedTokens], [400, 0, 240_000])
    assert.ok(result.grantedTokens <= 300_000)
  })
})

describe('pushes in virtual time', () => {
  const messages = (count: number): Message[] => Array.from({ length: count }, () => ({ tokens: 1, deliveries: 0 }))

  test('start slowly, with one more for each ack', () => {
    const time = createVirtualTime(0)
    const pushed: Delivery[] = []
    startPushes(time, messages(100), (delivery) => pushed.push(delivery))
    time.run(() => false, 0)
    assert.equal(pushed.length, 5)
    for (const delivery of pushed.slice()) delivery.answer('acked')
    assert.equal(pushed.length, 15)
  })

  test('pause after a nack, and deliver the message again after its own backoff', () => {
    const time = createVirtualTime(0)
    const pushedAt: number[] = []
    startPushes(time, messages(1), (delivery) => {
      pushedAt.push(time.now())
      delivery.answer(pushedAt.length < 4 ? 'nacked' : 'acked')
    })
    time.run(() => false, 1e9)
    assert.deepEqual(pushedAt, [0, 10_000, 30_000, 70_000])
  })

  test('end a message as a dead letter after a hundred deliveries', () => {
    const time = createVirtualTime(0)
    const { report } = startPushes(time, messages(1), (delivery) => delivery.answer('nacked'))
    time.run(() => false, 1e9)
    assert.deepEqual(report(), { done: 0, deadLetters: 1, missedDeadlines: 0, deliveries: 100 })
  })
})
