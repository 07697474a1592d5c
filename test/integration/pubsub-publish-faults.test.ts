import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grpc } from 'google-gax'
import type { JobQueue, Message } from '../../shared/queue/job-queue.ts'
import { openPubSubQueue } from '../../shared/queue/pubsub/pubsub-queue.ts'
import { openFaultProxy } from '../support/fault-proxy.ts'
import { type PublishCall, startPublisher } from '../support/publisher-stand-in.ts'

const { status } = grpc
const unavailable = { name: 'QueueError', code: 'unavailable' }
const refused = { name: 'QueueError', code: 'refused' }
const message = (text: string): Message => ({ data: Buffer.from(text), attributes: {} })

function openQueueAt(address: string): JobQueue & AsyncDisposable {
  const queue = openPubSubQueue({ project: 'test', emulator: address })
  return { ...queue, [Symbol.asyncDispose]: () => queue.close() }
}

async function startQueue(script: Parameters<typeof startPublisher>[0]) {
  await using started = new AsyncDisposableStack()
  const publisher = started.use(await startPublisher(script))
  const queue = started.use(openQueueAt(publisher.address))
  const cleanups = started.move()
  return { publisher, queue, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

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
  test('does so unseen: twice unavailable, then published', async () => {
    await using on = await startQueue((_, n) => (n <= 2 ? status.UNAVAILABLE : 'ids'))
    assert.equal(await on.queue.publish('jobs', message('a')), 'id of a')
    assert.equal(on.publisher.calls.length, 3)
  })

  for (const [name, code] of [
    ['no topic of this name', status.NOT_FOUND],
    ['no permission', status.PERMISSION_DENIED],
    ['no valid credentials', status.UNAUTHENTICATED],
    ['a topic that takes nothing now', status.FAILED_PRECONDITION],
  ] as const) {
    test(`by a person, not by itself, is told at once: ${name}`, async () => {
      await using on = await startQueue(() => code)
      await assert.rejects(on.queue.publish('jobs', message('a')), unavailable)
      assert.equal(on.publisher.calls.length, 1)
    })
  }
})

describe('a fault that lasts', { concurrency: true }, () => {
  for (const [name, answer] of [
    ['a quota that is used up', status.RESOURCE_EXHAUSTED],
    ['a server that never answers', 'never'],
  ] as const) {
    test(`is told after ten seconds: ${name}`, async () => {
      await using on = await startQueue(() => answer)
      const waitedMs = await timed(assert.rejects(on.queue.publish('jobs', message('a')), unavailable))
      assert.ok(waitedMs > 7_000 && waitedMs < 13_000, `${waitedMs} ms`)
    })
  }

  test('is over within seconds of its end: no connection can be made for half a minute', async () => {
    await using publisher = await startPublisher(() => 'ids')
    await using network = await openFaultProxy(publisher.address)
    await using queue = openQueueAt(network.address)
    network.cut()
    for (let tries = 0; tries < 3; tries += 1) {
      const waitedMs = await timed(assert.rejects(queue.publish('jobs', message('a')), unavailable))
      assert.ok(waitedMs < 13_000, `${waitedMs} ms`)
    }
    network.restore()
    const waitedMs = await timed(queue.publish('jobs', message('a')))
    assert.ok(waitedMs < 5_000, `${waitedMs} ms`)
  })

  test('is over with the connection that it was on: this one died without a word', async () => {
    await using publisher = await startPublisher(() => 'ids')
    await using network = await openFaultProxy(publisher.address)
    await using queue = openQueueAt(network.address)
    await queue.publish('jobs', message('a'))
    network.strand()
    const untilPublished = async (): Promise<unknown> => queue.publish('jobs', message('b')).catch(untilPublished)
    const waitedMs = await timed(untilPublished())
    assert.ok(waitedMs < 45_000, `${waitedMs} ms`)
  })
})

describe('a queue that is closed', () => {
  test('publishes nothing more, and says so at once', async () => {
    await using on = await startQueue(() => 'ids')
    await on.queue.publish('jobs', message('a'))
    await on.queue.close()
    const waitedMs = await timed(assert.rejects(on.queue.publish('jobs', message('b')), unavailable))
    assert.ok(waitedMs < 1_000, `${waitedMs} ms`)
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
