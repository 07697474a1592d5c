import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import { START } from '../../support/job-builders.ts'
import { createRandom } from '../support/seeded-random.ts'
import { createPubSub, type Push, type Subscription } from './fake-pubsub.ts'
import type { FaultRates } from './faults.ts'
import { installVirtualTime } from './virtual-timers.ts'
import { createProcess, createWorld, type World } from './world.ts'

const NO_FAULTS: FaultRates = { crash: 0, freeze: 0, refuse: 0, lose: 0, late: 0, duplicate: 0, jump: 0, model: 0 }

function aWorld(seed = 1): World {
  return createWorld(createRandom(seed), START)
}

async function untilRest(world: World): Promise<number> {
  while (await world.step());
  return world.now() - START
}

describe('the time of the simulation', () => {
  test('passes in no time, for timers, waits, deadlines and retries of libraries alike', async () => {
    const world = aWorld()
    using _ = installVirtualTime(world)
    const rung: string[] = []
    world.after(0, undefined, () => {
      setTimeout(() => rung.push(`timer ${Date.now() - START}`), 3_600_000)
      void delay(1_800_000).then(() => rung.push(`wait ${Date.now() - START}`))
      AbortSignal.timeout(60_000).addEventListener('abort', () => rung.push(`deadline ${performance.now() - START}`))
      let tries = 0
      const twice = async () => {
        tries += 1
        if (tries === 1) throw new Error('again')
        rung.push(`retry ${Date.now() - START}`)
      }
      void pRetry(twice, { minTimeout: 5_000 })
    })
    assert.equal(await untilRest(world), 3_600_000)
    assert.deepEqual(rung, ['retry 5000', 'deadline 60000', 'wait 1800000', 'timer 3600000'])
  })

  test('fires no timer that was cleared, and ends a wait with its signal', async () => {
    const world = aWorld()
    using _ = installVirtualTime(world)
    clearTimeout(setTimeout(() => assert.fail('it was cleared'), 1))
    const controller = new AbortController()
    const wait = assert.rejects(delay(1_000, undefined, { signal: controller.signal }), { name: 'AbortError' })
    controller.abort()
    await wait
    assert.equal(await world.step(), false)
  })

  test('stands still for a frozen process, and ends for a dead one', async () => {
    const world = aWorld()
    using _ = installVirtualTime(world)
    const [frozen, dead] = [createProcess('frozen'), createProcess('dead')]
    const rung: number[] = []
    world.as(frozen, () => setTimeout(() => rung.push(Date.now() - START), 10))
    world.as(dead, () => setTimeout(() => assert.fail('it is dead'), 10))
    frozen.frozenUntil = START + 500
    dead.isDead = true
    assert.deepEqual([await untilRest(world), rung], [500, [500]])
  })

  test('runs what is planned for one time in an order that depends on the seed', async () => {
    const orderOf = async (seed: number) => {
      const world = aWorld(seed)
      const order: number[] = []
      for (const n of [1, 2, 3, 4, 5, 6]) world.after(7, undefined, () => order.push(n))
      await untilRest(world)
      return order.join('')
    }
    const orders = await Promise.all([1, 1, 2, 3].map(orderOf))
    assert.equal(orders[0], orders[1])
    assert.equal(new Set(orders).size, 3)
  })
})

/** A topic with one subscriber, and what became of its messages. */
function aTopic(answer: Subscription['push'], over: Partial<FaultRates> = {}) {
  const world = aWorld()
  const rates = { ...NO_FAULTS, ...over }
  const never = Number.POSITIVE_INFINITY
  const faults = {
    rates,
    calmAt: never,
    overAt: () => never,
    isAway: () => false,
    modelWindow: () => undefined,
    isSlow: () => false,
    upgradedAt: 0,
    reachableAt: never,
  }
  const pushes: (Push & { readonly at: number })[] = []
  const acked: string[] = []
  const taken: string[] = []
  const pubsub = createPubSub({ world, faults, exercised: new Map() }, (topic) => taken.push(topic))
  pubsub.subscribe('jobs', {
    push(push) {
      pushes.push({ ...push, at: world.now() })
      return answer(push)
    },
    acknowledged: ({ id }) => void acked.push(id),
    deadLetter: { topic: 'dead', maxDeliveries: 4 },
  })
  pubsub.publish('jobs', { data: Buffer.from('x'), attributes: { batch: 'nightly' } })
  return { world, pubsub, pushes, acked, taken }
}

describe('the Pub/Sub of the simulation', () => {
  test('delivers what is acknowledged once', async () => {
    const { world, pubsub, pushes, acked } = aTopic(async () => true)
    await untilRest(world)
    assert.deepEqual([pushes.length, acked.length, pubsub.outstanding()], [1, 1, 0])
  })

  test('delivers what is refused again, each time later, and gives it up after so many times', async () => {
    const { world, pubsub, pushes, acked, taken } = aTopic(async () => false)
    await untilRest(world)
    const gaps = pushes.slice(1).map(({ at }, n) => at - (pushes[n]?.at ?? 0))
    assert.deepEqual([pushes.length, acked, taken, pubsub.outstanding()], [4, [], ['jobs', 'dead'], 0])
    assert.ok(
      gaps.every((gap, n) => gap >= 10_000 * 2 ** n),
      gaps.join(),
    )
  })

  test('redelivers a message without an answer when its deadline is over, and ignores a later answer', async () => {
    const answers: ((isAcked: boolean) => void)[] = []
    const { world, pushes, acked } = aTopic(() => new Promise((resolve) => answers.push(resolve)))
    while (pushes.length < 2) await world.step()
    assert.ok(world.now() - START >= 120_000)
    answers[0]?.(true)
    for (let steps = 0; steps < 5; steps += 1) await world.step()
    assert.deepEqual(acked, [])
  })

  test('delivers what is acknowledged once more, where it duplicates, and counts it once', async () => {
    const { world, pubsub, pushes, acked } = aTopic(async () => true, { duplicate: 1 })
    await untilRest(world)
    assert.ok(pushes.length > 1)
    assert.deepEqual([acked.length, pubsub.outstanding()], [1, 0])
  })
})
