import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grpc } from 'google-gax'
import { freePort } from '../../cli/free-port.ts'
import { type PublishCall, startPublisher } from '../support/publisher-stand-in.ts'
import { message, openQueueAt, startQueue, unavailable } from '../support/pubsub-queue.ts'
import { onConnection } from '../support/sockets.ts'

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
    [
      'no topic of this name',
      status.NOT_FOUND,
      'the topic projects/test/topics/jobs does not exist; create it, or correct its name',
    ],
    [
      'no permission',
      status.PERMISSION_DENIED,
      'this login may not publish to the topic projects/test/topics/jobs; it needs roles/pubsub.publisher on it',
    ],
    [
      'no valid credentials',
      status.UNAUTHENTICATED,
      'it does not accept the login; run gcloud auth application-default login',
    ],
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
  const expected = `Pub/Sub at ${address} did not take the message: it cannot be reached (connect ECONNREFUSED ${address}); check this emulator, or correct or unset PUBSUB_EMULATOR_HOST, which names it`
  await assert.rejects(queue.publishAll('jobs', [message('a')]), { ...unavailable, message: expected })
})

describe('an error of the topic is met by one message, and nothing else was sent', () => {
  const messages = Array.from({ length: 1_200 }, (_, n) => message(`job ${n}`))

  for (const [name, topic, code] of [
    ['a name that Pub/Sub rejects', '1bad', status.INVALID_ARGUMENT],
    ['a name without a topic', 'projects/p/jobs', status.INVALID_ARGUMENT],
    ['a name that begins with goog', 'google-jobs', status.INVALID_ARGUMENT],
    ['a topic that does not exist', 'jobs', status.NOT_FOUND],
    ['a topic that the login may not use', 'jobs', status.PERMISSION_DENIED],
  ] as const) {
    test(name, async () => {
      await using on = await startQueue(() => code)
      const publishing = [messages.slice(0, 500), messages.slice(500)].map((some) => on.queue.publishAll(topic, some))
      const outcomes = await Promise.allSettled(publishing)
      const errors = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason : undefined))
      for (const error of errors) assert.equal(error.code, 'unavailable')
      assert.equal(errors[1], errors[0])
      assert.match(errors[0].message, new RegExp(`topics/${topic}|${topic} is not a valid topic name`))
      assert.deepEqual(new Set(on.publisher.calls.flatMap(({ texts }) => texts)), new Set(['job 0']))
    })
  }

  test('and a topic that is there later is used then', async () => {
    await using on = await startQueue((_, n) => (n === 1 ? status.NOT_FOUND : 'ids'))
    await assert.rejects(on.queue.publishAll('jobs', messages), unavailable)
    assert.equal((await on.queue.publishAll('jobs', messages)).length, messages.length)
  })

  test('and a first message that is refused for itself leaves the topic to the others', async () => {
    await using on = await startQueue(withPoison)
    const poisoned = on.queue.publishAll('jobs', [message('poison'), message('never sent')])
    const others = on.queue.publishAll('jobs', [message('a'), message('b')])
    await assert.rejects(poisoned, refused)
    assert.deepEqual(await others, ['id of a', 'id of b'])
  })
})

test('a Pub/Sub that accepts connections and never answers is an error after the time of a call', async (t) => {
  const address = `127.0.0.1:${await onConnection(t, () => undefined)}`
  await using queue = openQueueAt(address, 1)
  const expected = new RegExp(`^Pub/Sub at ${address} did not take the message: it did not answer in time; check`)
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
