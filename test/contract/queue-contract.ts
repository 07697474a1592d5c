import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { JobQueue, Message } from '../../shared/queues/job-queue.ts'
import { openEndpoint, readEnvelope } from './queue-endpoint.ts'

export interface PushSpec {
  readonly topic: string
  readonly endpoint: string
  readonly deadLetter?: { readonly topic: string; readonly maxAttempts: number }
}

/** A queue and what pushes its messages, as an adapter's test sets them up; each test opens its own. */
export interface QueueHarness {
  readonly queue: JobQueue
  /** The retry policy's minimum, which every subscription has. */
  readonly minBackoffMs: number
  /** Begins to push a topic to an endpoint. Called before anything is published. */
  subscribe(...specs: readonly PushSpec[]): Promise<void>
  close(): Promise<void>
}

const TOPIC = 'jobs'
const text = (data: string, attributes: Message['attributes'] = {}): Message => ({
  data: Buffer.from(data),
  attributes,
})

/** What every queue promises together with push delivery. */
export function queueContract(adapter: string, open: () => Promise<QueueHarness>): void {
  const openWithEndpoint = async (t: TestContext) => {
    const endpoint = await openEndpoint()
    t.after(() => endpoint.close())
    const harness = await open()
    t.after(() => harness.close())
    return { endpoint, ...harness }
  }
  const subscribed = async (t: TestContext) => {
    const parts = await openWithEndpoint(t)
    await parts.subscribe({ topic: TOPIC, endpoint: parts.endpoint.url })
    return parts
  }

  describe(`${adapter}: what is published arrives`, () => {
    test('a message reaches the endpoint with its id, data and attributes', async (t) => {
      const { queue, endpoint } = await subscribed(t)
      const id = await queue.publish(TOPIC, text('Grüße', { batch: 'nightly', note: 'naïve ☕' }))
      const push = await endpoint.next()
      const envelope = readEnvelope(push)
      assert.equal(envelope.id, id)
      assert.equal(envelope.data.toString(), 'Grüße')
      assert.deepEqual(envelope.attributes, { batch: 'nightly', note: 'naïve ☕' })
      push.answer(204)
    })

    const bytes = Uint8Array.from({ length: 512 }, (_, index) => index % 256)
    for (const [what, message] of Object.entries({
      'binary data arrives byte for byte': { data: bytes.subarray(3), attributes: {} },
      'a message without attributes arrives without any': text('{}'),
      'a message of attributes alone arrives without data': text('', { only: 'this' }),
    })) {
      test(what, async (t) => {
        const { queue, endpoint } = await subscribed(t)
        await queue.publish(TOPIC, message)
        const push = await endpoint.next()
        const { data, attributes } = readEnvelope(push)
        assert.deepEqual([Buffer.from(data), attributes], [Buffer.from(message.data), message.attributes])
        push.answer(204)
      })
    }

    test('publishing many gives their ids in order, and all arrive', async (t) => {
      const { queue, endpoint } = await subscribed(t)
      const bodies = Array.from({ length: 450 }, (_, index) => `job ${index}`)
      const ids = await queue.publishAll(
        TOPIC,
        bodies.map((body) => text(body)),
      )
      const arrived = new Map<string, string>()
      while (arrived.size < bodies.length) {
        const push = await endpoint.next()
        const { id, data } = readEnvelope(push)
        arrived.set(id, data.toString())
        push.answer(204)
      }
      assert.deepEqual(
        ids.map((id) => arrived.get(id)),
        bodies,
      )
    })

    test('publishing none publishes none', async (t) => {
      const { queue } = await subscribed(t)
      assert.deepEqual(await queue.publishAll(TOPIC, []), [])
    })
  })

  describe(`${adapter}: what fails is redelivered`, () => {
    test('a nacked message is redelivered, later each time', async (t) => {
      const { queue, endpoint, minBackoffMs } = await subscribed(t)
      const id = await queue.publish(TOPIC, text('retry me'))
      const arrivals: number[] = []
      for (const status of [503, 429, 500, 204]) {
        const push = await endpoint.next()
        assert.equal(readEnvelope(push).id, id)
        arrivals.push(push.at)
        push.answer(status)
      }
      const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? at))
      // Lower bounds only: a busy machine may make any gap longer. A tenth is left to the clocks.
      assert.ok(
        gaps.every((gap) => gap >= minBackoffMs * 0.9),
        `gaps of ${gaps} ms`,
      )
      assert.ok((gaps.at(-1) ?? 0) >= 2 * minBackoffMs * 0.9, `gaps of ${gaps} ms`)
    })

    test('a message whose endpoint dies in the middle of the request is redelivered', async (t) => {
      const { queue, endpoint } = await subscribed(t)
      const id = await queue.publish(TOPIC, text('again', { a: 'b' }))
      const first = await endpoint.next()
      first.die()
      const second = await endpoint.next()
      assert.equal(readEnvelope(second).id, id)
      assert.deepEqual(readEnvelope(second).attributes, { a: 'b' })
      second.answer(204)
    })

    test('an acknowledged message is not redelivered', async (t) => {
      const { queue, endpoint, minBackoffMs } = await subscribed(t)
      assert.ok(minBackoffMs > 0)
      const acked = await queue.publish(TOPIC, text('done'))
      const first = await endpoint.next()
      first.answer(204)
      const retried = await queue.publish(TOPIC, text('twice'))
      // The second message's redelivery comes a backoff later than the first one's would.
      const seen = [readEnvelope(first).id]
      for (const status of [500, 204]) {
        const push = await endpoint.next()
        seen.push(readEnvelope(push).id)
        push.answer(status)
      }
      assert.deepEqual(seen, [acked, retried, retried])
    })

    test('after five failed attempts a message is in the dead-letter topic with its attributes, once', async (t) => {
      const { queue, endpoint, subscribe } = await openWithEndpoint(t)
      const graveyard = await openEndpoint()
      t.after(() => graveyard.close())
      await subscribe(
        { topic: TOPIC, endpoint: endpoint.url, deadLetter: { topic: 'dead', maxAttempts: 5 } },
        { topic: 'dead', endpoint: graveyard.url },
      )
      const id = await queue.publish(TOPIC, text('poison', { batch: 'b' }))
      for (let attempt = 1; attempt <= 5; attempt++) {
        const push = await endpoint.next()
        assert.equal(readEnvelope(push).id, id)
        push.answer(500)
      }
      const dead = await graveyard.next()
      const { data, attributes, id: newId } = readEnvelope(dead)
      assert.equal(data.toString(), 'poison')
      assert.equal(attributes['batch'], 'b')
      assert.equal(attributes['CloudPubSubDeadLetterSourceDeliveryCount'], '5')
      assert.notEqual(newId, id)
      dead.answer(204)

      const marker = await queue.publish(TOPIC, text('after it'))
      const next = await endpoint.next()
      assert.equal(readEnvelope(next).id, marker)
      next.answer(204)
      const markerInDead = await queue.publish('dead', text('after it'))
      const nextDead = await graveyard.next()
      assert.equal(readEnvelope(nextDead).id, markerInDead)
      nextDead.answer(204)
    })
  })

  describe(`${adapter}: what can never be published is refused`, () => {
    const refused = { name: 'QueueError', code: 'refused' }
    const unpublishable: Readonly<Record<string, Message>> = {
      'more than 10 MB of data': { data: new Uint8Array(10_000_001), attributes: {} },
      'an attribute value of more than 1,024 bytes': text('x', { a: 'é'.repeat(513) }),
      'an attribute key of more than 256 bytes': text('x', { ['k'.repeat(257)]: 'v' }),
      'an empty attribute key': text('x', { '': 'v' }),
      'half a surrogate pair in an attribute value': text('x', { a: '\ud800' }),
      'half a surrogate pair in an attribute key': text('x', { 'a\udc00': 'v' }),
      'more than 100 attributes': text('x', Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`a${n}`, '']))),
      'neither data nor attributes': text(''),
    }
    for (const [what, message] of Object.entries(unpublishable)) {
      test(what, async (t) => {
        const { queue } = await openWithEndpoint(t)
        await assert.rejects(queue.publish(TOPIC, message), refused)
      })
    }

    test('one such message among many keeps all from being published', async (t) => {
      const { queue, endpoint } = await subscribed(t)
      await assert.rejects(queue.publishAll(TOPIC, [text('good'), text('')]), refused)
      const marker = await queue.publish(TOPIC, text('marker'))
      const push = await endpoint.next()
      assert.equal(readEnvelope(push).id, marker)
      push.answer(204)
    })

    test('at the limits a message is published', async (t) => {
      const { queue, endpoint } = await subscribed(t)
      const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`a${n}`, 'v'.repeat(1_024)]))
      const attributes = { ...many, ['k'.repeat(256)]: '' }
      await queue.publish(TOPIC, { data: new Uint8Array(9_000_000), attributes })
      const push = await endpoint.next()
      assert.equal(readEnvelope(push).data.byteLength, 9_000_000)
      push.answer(204)
    })
  })
}
