import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grpc } from 'google-gax'
import { freePort } from '../../cli/free-port.ts'
import { type PublishCall, startPublisher } from '../support/publisher-stand-in.ts'
import { message, openQueueAt, startQueue, unavailable } from '../support/pubsub-queue.ts'

const { status } = grpc
const refused = { name: 'QueueError', code: 'refused' }
const withPoison = ({ texts }: PublishCall) => (texts.includes('poison') ? status.INVALID_ARGUMENT : 'ids')

describe('a message that Pub/Sub refuses for good among many in one call', () => {
  const texts = Array.from({ length: 50 }, (_, n) => (n === 20 ? 'poison' : `job ${n}`))

  test('is refused, and all others are published, each once and alone', async () => {
    await using on = await startQueue(withPoison)
    const outcomes = await Promise.allSettled(texts.map((text) => on.queue.publish('jobs', message(text))))
    const rejected = outcomes.flatMap((outcome, n) =>
      outcome.status === 'rejected' ? [[texts[n], outcome.reason]] : [],
    )
    assert.deepEqual(
      rejected.map(([text, { name, code }]) => ({ text, name, code })),
      [{ text: 'poison', ...refused }],
    )
    const { calls, published } = on.publisher
    assert.deepEqual(calls[0]?.texts, texts)
    assert.ok(calls.slice(1).every((call) => call.texts.length === 1))
    assert.deepEqual(published.toSorted(), texts.filter((text) => text !== 'poison').toSorted())
  })

  test('makes publishAll reject', async () => {
    await using on = await startQueue(withPoison)
    await assert.rejects(on.queue.publishAll('jobs', texts.map(message)), refused)
  })
})

describe('an answer that another try can change', () => {
  test('is followed by one: twice unavailable, then published', async () => {
    await using on = await startQueue((_, n) => (n <= 2 ? status.UNAVAILABLE : 'ids'))
    assert.equal(await on.queue.publish('jobs', message('a')), 'id of a')
    assert.equal(on.publisher.calls.length, 3)
  })

  for (const [name, code, cause] of [
    ['no topic of this name', status.NOT_FOUND, 'the topic does not exist'],
    ['no permission', status.PERMISSION_DENIED, 'this login may not publish to the topic'],
    ['no valid credentials', status.UNAUTHENTICATED, 'it does not accept the login'],
    ['a topic that takes nothing now', status.FAILED_PRECONDITION, 'status 9'],
  ] as const) {
    test(`only after an operator’s fix is reported at once: ${name}`, async () => {
      await using on = await startQueue(() => code)
      const expected = new RegExp(`^Pub/Sub at 127\\.0\\.0\\.1:\\d+ did not take the message: ${cause}$`)
      await assert.rejects(on.queue.publish('jobs', message('a')), { ...unavailable, message: expected })
      assert.equal(on.publisher.calls.length, 1)
    })
  }
})

test('a Pub/Sub that cannot be reached is named with its address and what the connection met, after the time that is set', async () => {
  const address = `127.0.0.1:${await freePort()}`
  await using queue = openQueueAt(address, 1)
  const expected = `Pub/Sub at ${address} did not take the message: it cannot be reached (connect ECONNREFUSED ${address})`
  await assert.rejects(queue.publishAll('jobs', [message('a')]), { ...unavailable, message: expected })
})

test('after its first message, a queue with a short first time retries as any other', async () => {
  const failing = [status.UNAVAILABLE, status.UNAVAILABLE, status.UNAVAILABLE]
  await using publisher = await startPublisher((_, n) => (n === 1 ? 'ids' : (failing[n - 2] ?? 'ids')))
  await using queue = openQueueAt(publisher.address, 1)
  assert.equal(await queue.publish('jobs', message('a')), 'id of a')
  assert.equal(await queue.publish('jobs', message('b')), 'id of b')
})

describe('a queue that is closed', () => {
  test('publishes nothing more, and says so', async () => {
    await using on = await startQueue(() => 'ids')
    await on.queue.publish('jobs', message('a'))
    await on.queue.close()
    await assert.rejects(on.queue.publish('jobs', message('b')), unavailable)
    assert.deepEqual(on.publisher.published, ['a'])
  })

  test('closes again, and without having published', async () => {
    await using on = await startQueue(() => 'ids')
    await on.queue.close()
    await on.queue.close()
  })

  test('leaves no publish without an answer', async () => {
    await using on = await startQueue(() => 'never')
    const published = on.queue.publish('jobs', message('a'))
    while (on.publisher.calls.length === 0) await new Promise(setImmediate)
    await Promise.all([assert.rejects(published, unavailable), on.queue.close()])
  })
})

test('publishing 2,500 gives their ids in order', async () => {
  await using on = await startQueue(() => 'ids')
  const texts = Array.from({ length: 2_500 }, (_, n) => `job ${n}`)
  const ids = await on.queue.publishAll('jobs', texts.map(message))
  assert.deepEqual(
    ids,
    texts.map((text) => `id of ${text}`),
  )
  assert.ok(on.publisher.calls.every((call) => call.texts.length <= 100 && call.topic === 'projects/test/topics/jobs'))
})
