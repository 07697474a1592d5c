import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { openSubscription } from '../../shared/queues/sqlite/subscription.ts'
import { openAnsweringEndpoint, readEnvelope } from '../contract/queue-endpoint.ts'
import { drained, newEndpoint, newFile, newQueue, openAll, startPush, TOPIC } from './pubsub-push-harness.ts'

describe('a restart on the same file', () => {
  test('goes on with what was left, the cut delivery at once', async (t) => {
    const { file, queue, endpoint, push } = await openAll(t, { flow: { maxOutstanding: 1 } })
    const [first, second, third] = [await queue.publish('a'), await queue.publish('b'), await queue.publish('c')]
    const done = await endpoint.next()
    done.answer(204)
    await endpoint.next()
    await push.close()

    const later = await newEndpoint(t)
    const again = await startPush(t, file, later.url, { deadLetter: { topic: 'dead' } })
    const seen: unknown[] = []
    for (let n = 0; n < 2; n++) {
      const arrived = await later.next()
      const { id, deliveryAttempt } = readEnvelope(arrived)
      seen.push([id, deliveryAttempt])
      arrived.answer(204)
    }
    assert.equal(readEnvelope(done).id, first)
    assert.deepEqual(seen.toSorted(), [
      [second, 2],
      [third, 1],
    ])
    assert.partialDeepStrictEqual(await drained(again), { acked: 2 })
  })

  test('takes over the leases of a forerunner that died', async (t) => {
    const file = await newFile(t)
    const queue = await newQueue(t, file)
    const id = await queue.publish('a')
    const forerunner = await openSubscription(file)
    await forerunner.pull({ topic: TOPIC, max: 1, now: Date.now(), leaseMs: 600_000 })
    forerunner.close()

    const endpoint = await newEndpoint(t)
    await startPush(t, file, endpoint.url)
    const arrived = await endpoint.next()
    assert.equal(readEnvelope(arrived).id, id)
    arrived.answer(204)
  })
})

const PUBLISHER = `
  import { openSqliteQueue } from '${import.meta.resolve('../../shared/queues/sqlite/sqlite-queue.ts')}'
  const [file, name, count] = process.argv.slice(1)
  const queue = await openSqliteQueue(file, Date.now)
  for (let n = 0; n < Number(count); n++)
    await queue.publish('${TOPIC}', { data: Buffer.from(name + ' ' + n), attributes: {} })
  await queue.close()
`

test('two processes that publish while the push reads lose nothing, and each message is delivered once', async (t) => {
  const each = 250
  const file = await newFile(t)
  const bodies: string[] = []
  const all = Promise.withResolvers<void>()
  const endpoint = await openAnsweringEndpoint((arrived) => {
    bodies.push(readEnvelope(arrived).data.toString())
    arrived.answer(204)
    if (bodies.length === 2 * each) all.resolve()
  })
  t.after(() => endpoint.close())
  // Before the publishers, so that all three processes race to make the file's tables and then share its lock.
  const publishers = ['one', 'two'].map((name) =>
    spawn(process.execPath, ['--input-type=module', '--eval', PUBLISHER, file, name, String(each)], {
      stdio: 'inherit',
    }),
  )
  const exits = publishers.map((publisher) => once(publisher, 'exit'))
  const push = await startPush(t, file, endpoint.url)
  for (const [code] of await Promise.all(exits)) assert.equal(code, 0)
  await all.promise

  assert.partialDeepStrictEqual(await drained(push), { delivered: 2 * each, acked: 2 * each, nacked: 0 })
  assert.equal(new Set(bodies).size, 2 * each)
  assert.equal(bodies.length, 2 * each)
})
