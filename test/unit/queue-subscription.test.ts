import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { hasConsumer, joinConsumers } from '../../shared/queues/sqlite/consumers.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSqliteDeliveries } from '../../shared/queues/sqlite/sqlite-deliveries.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { openSubscription } from '../../shared/queues/sqlite/subscription.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const T0 = 1_000_000
const LEASE_MS = 60_000

async function openAll(t: TestContext) {
  const file = await aTemporaryFile(t)
  const queue = await openSqliteQueue(file, () => T0)
  t.after(() => queue.close())
  const subscription = await openSubscription(file)
  t.after(() => subscription.close())
  const report = await openQueueReport(file)
  t.after(() => report.close())
  const publish = (body: string, topic = 'jobs') =>
    queue.publish(topic, { data: Buffer.from(body), attributes: { of: body } })
  const pull = (now: number, max = 10, topic = 'jobs') => subscription.pull({ topic, max, now, leaseMs: LEASE_MS })
  const pullIds = async (now: number, max: number) => (await pull(now, max)).map(({ id }) => id)
  const pullOne = async (now: number) => {
    const [message] = await pull(now, 1)
    assert.ok(message, 'a message is due')
    return message
  }
  return { file, queue, subscription, report, publish, pull, pullIds, pullOne }
}

describe('a pull', () => {
  test('leases no more bytes than asked for, in order, and a larger message only if it may stand alone', async (t) => {
    const { publish, subscription } = await openAll(t)
    for (const body of ['four', 'larger', 'two']) await publish(body)
    const pullOf = async (maxBytes: number, isLargerTaken: boolean) =>
      (await subscription.pull({ topic: 'jobs', max: 10, now: T0, leaseMs: 1, maxBytes, isLargerTaken })).map(
        ({ attributes }) => attributes['of'],
      )
    assert.deepEqual(await pullOf(9, false), ['four'])
    assert.deepEqual(await pullOf(5, false), [])
    assert.deepEqual(await pullOf(5, true), ['larger'])
    assert.deepEqual(await pullOf(5, true), ['two'])
  })

  test('leases the oldest messages first, no more than asked for', async (t) => {
    const { publish, pullIds } = await openAll(t)
    const ids = [await publish('a'), await publish('b'), await publish('c')]
    assert.deepEqual(await pullIds(T0, 2), ids.slice(0, 2))
    assert.deepEqual(await pullIds(T0, 2), ids.slice(2))
  })

  test('gives nothing of a topic that is paused, and all of it when it is resumed', async (t) => {
    const { file, publish, pull, pullOne, subscription } = await openAll(t)
    const deliveries = await openSqliteDeliveries(file)
    t.after(() => deliveries.close())
    await publish('a')
    const held = await pullOne(T0)
    await publish('b')
    await publish('c', 'events')
    await deliveries.pause('jobs', undefined)
    assert.deepEqual(await pull(T0), [])
    assert.equal((await pull(T0, 1, 'events')).length, 1)
    assert.equal(await subscription.ack(held), true)
    await deliveries.resume('jobs', undefined)
    assert.equal((await pullOne(T0)).attempt, 1)
  })

  test('gives nothing of another topic', async (t) => {
    const { publish, pull } = await openAll(t)
    await publish('a', 'events')
    assert.deepEqual(await pull(T0), [])
  })

  test('does not give a leased message until the very millisecond its lease ends', async (t) => {
    const { publish, pull } = await openAll(t)
    const id = await publish('a')
    await pull(T0)
    assert.deepEqual(await pull(T0 + LEASE_MS - 1), [])
    assert.equal((await pull(T0 + LEASE_MS)).at(0)?.id, id)
  })

  test('counts each delivery', async (t) => {
    const { publish, pullOne } = await openAll(t)
    await publish('a')
    const attempts = [await pullOne(T0), await pullOne(T0 + LEASE_MS), await pullOne(T0 + 2 * LEASE_MS)]
    const numbers = attempts.map(({ attempt }) => attempt)
    assert.deepEqual(numbers, [1, 2, 3])
  })
})

describe('a lease', () => {
  test('its ack takes the message away for good', async (t) => {
    const { publish, pull, pullOne, subscription } = await openAll(t)
    await publish('a')
    assert.equal(await subscription.ack(await pullOne(T0)), true)
    assert.deepEqual(await pull(T0 + 10 * LEASE_MS), [])
  })

  test('its nack makes the message due when it says', async (t) => {
    const { publish, pull, pullOne, subscription } = await openAll(t)
    await publish('a')
    assert.equal(await subscription.nack(await pullOne(T0), T0 + 500), true)
    assert.deepEqual(await pull(T0 + 499), [])
    assert.equal((await pull(T0 + 500)).length, 1)
  })

  test('a stale one changes nothing', async (t) => {
    const { publish, pull, pullOne, subscription, report } = await openAll(t)
    await publish('a')
    const stale = await pullOne(T0)
    const current = await pullOne(T0 + LEASE_MS)
    assert.equal(await subscription.ack(stale), false)
    assert.equal(await subscription.nack(stale, 0), false)
    assert.equal(await subscription.deadLetter(stale, 'dead', {}, T0), false)
    assert.deepEqual(await pull(T0 + LEASE_MS), [])
    assert.deepEqual(await report.list('dead', { limit: 10 }), [])
    assert.equal(await subscription.ack(current), true)
  })

  test('one that was released is stale', async (t) => {
    const { publish, pullOne, subscription } = await openAll(t)
    await publish('a')
    const lease = await pullOne(T0)
    await subscription.nack(lease, T0 + 500)
    assert.equal(await subscription.ack(lease), false)
  })

  test('one that ran out still acknowledges while no other pull holds the message', async (t) => {
    const { publish, pull, pullOne, subscription } = await openAll(t)
    await publish('a')
    const late = await pullOne(T0)
    assert.equal(await subscription.ack(late), true)
    assert.deepEqual(await pull(T0 + LEASE_MS), [])
  })

  test('reclaiming frees every lease of the topic and of no other', async (t) => {
    const { publish, pull, subscription } = await openAll(t)
    await publish('a')
    await publish('b')
    await publish('c', 'events')
    const dead = await pull(T0)
    await pull(T0, 1, 'events')
    assert.equal(await subscription.reclaim('jobs', T0 + 1), 2)
    assert.equal((await pull(T0 + 1)).length, 2)
    for (const lease of dead) assert.equal(await subscription.ack(lease), false)
    assert.deepEqual(await pull(T0 + 1, 1, 'events'), [])
  })
})

describe('a dead letter', () => {
  test('is a new message of the other topic with the same data', async (t) => {
    const { publish, pull, pullOne, subscription, report } = await openAll(t)
    await publish('poison')
    const lease = await pullOne(T0)
    assert.equal(await subscription.deadLetter(lease, 'dead', { why: 'spent' }, T0 + 5), true)
    assert.deepEqual(await pull(T0 + LEASE_MS), [])
    const [dead, ...more] = await report.list('dead', { limit: 10 })
    assert.deepEqual(more, [])
    assert.notEqual(dead?.id, lease.id)
    assert.deepEqual(
      { ...dead, id: '', data: Buffer.from(dead?.data ?? []).toString() },
      { id: '', attempt: 0, publishedAt: T0 + 5, attributes: { why: 'spent' }, data: 'poison' },
    )
  })
})

describe('the report', () => {
  test('has for each topic the number of messages and their state', async (t) => {
    const { publish, pull, pullOne, subscription, report } = await openAll(t)
    for (const body of ['acked', 'dead', 'nacked', 'leased', 'waiting']) await publish(body)
    await subscription.ack(await pullOne(T0))
    await subscription.deadLetter(await pullOne(T0), 'dead', {}, T0)
    await subscription.nack(await pullOne(T0), T0 + 1)
    await pull(T0, 1)
    const counts = { published: 5, waiting: 2, leased: 1, acked: 1, deadLettered: 1 }
    assert.deepEqual(await report.counts('jobs', T0), counts)
    assert.deepEqual(await report.counts('jobs', T0 + LEASE_MS), { ...counts, waiting: 3, leased: 0 })
    assert.deepEqual(await report.topics(), ['dead', 'jobs'])
  })

  test('knows nothing of a topic that never was', async (t) => {
    const { report } = await openAll(t)
    const none = { published: 0, waiting: 0, leased: 0, acked: 0, deadLettered: 0 }
    assert.deepEqual(await report.counts('nowhere', T0), none)
  })

  test('lists page by page', async (t) => {
    const { publish, report } = await openAll(t)
    const ids = [await publish('a'), await publish('b'), await publish('c')]
    const first = await report.list('jobs', { limit: 2 })
    const second = await report.list('jobs', { limit: 2, after: first.at(-1)?.id ?? '' })
    assert.deepEqual(
      [...first, ...second].map(({ id }) => id),
      ids,
    )
  })

  test('an acknowledged message’s id is never given again', async (t) => {
    const { publish, pullOne, subscription } = await openAll(t)
    const first = await publish('a')
    await subscription.ack(await pullOne(T0))
    assert.notEqual(await publish('b'), first)
  })
})

test('a closed or unwritable file is unavailable', async (t) => {
  const { queue, publish } = await openAll(t)
  await queue.close()
  await assert.rejects(publish('a'), { name: 'QueueError', code: 'unavailable' })
  await assert.rejects(
    openSqliteQueue('/nowhere/at/all.db', () => T0),
    { name: 'QueueError', code: 'unavailable' },
  )
})

describe('a trim', () => {
  test('keeps the latest messages of the topic, and of them those that were due late enough', async (t) => {
    const { subscription, report, publish, pullOne } = await openAll(t)
    for (let n = 0; n < 1_203; n += 1) await publish(`${n}`)
    await publish('other', 'events')
    await subscription.nack(await pullOne(T0), T0 + 5)
    await subscription.trim('jobs', { before: T0, keep: 3 })
    const left = async (topic: string) =>
      (await report.list(topic, { limit: 10 })).map(({ attributes }) => attributes['of'])
    assert.deepEqual([await left('jobs'), await left('events')], [['0', '1201', '1202'], ['other']])
    await subscription.trim('jobs', { before: T0 + 5, keep: 3 })
    assert.deepEqual(await left('jobs'), ['0'])
  })
})

describe('the consumers of a file', () => {
  test('the first is alone, another is not, and the next after both have ended is alone again', async (t) => {
    const file = await aTemporaryFile(t)
    assert.equal(hasConsumer(file), false)
    let alone = 0
    const join = () =>
      joinConsumers(file, async () => {
        alone += 1
      })
    const [first, second] = [await join(), await join()]
    first.close()
    const third = await join()
    assert.deepEqual([alone, hasConsumer(file)], [1, true])
    second.close()
    third.close()
    assert.equal(hasConsumer(file), false)
    ;(await join()).close()
    assert.equal(alone, 2)
  })
})
