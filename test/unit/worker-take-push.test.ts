import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createBytesInFlight } from '../../worker/receive/bytes-in-flight.ts'
import { MAX_PUSH_BYTES, takePush } from '../../worker/receive/take-push.ts'

const now = () => 1_000
const url = 'http://worker/push'

function whole(text: string): Request {
  return new Request(url, { method: 'POST', body: text, headers: { 'content-length': String(text.length) } })
}

/** A push that does not tell its length. */
function chunked(chunks: ReadableStream<Uint8Array>): Request {
  return new Request(url, { method: 'POST', body: chunks, duplex: 'half' })
}

function streamOf(...sizes: readonly number[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(sizes.map((size) => Buffer.alloc(size, 'x')))
}

describe('room for a push', () => {
  test('is its length while the work with it lasts, and is given back then', async () => {
    const bytes = createBytesInFlight(1_000)
    const seen = await takePush(whole('x'.repeat(300)), { bytes, now }, async ({ delivery }) => {
      return [delivery.data.byteLength, delivery.arrivedAt, bytes.reserved()]
    })
    assert.deepEqual(seen, [300, 1_000, 300])
    assert.equal(bytes.reserved(), 0)
  })

  test('is given back when the work fails', async () => {
    const bytes = createBytesInFlight(1_000)
    const work = () => Promise.reject(new Error('a fault of our own'))
    await assert.rejects(takePush(whole('x'), { bytes, now }, work), /a fault of our own/)
    assert.equal(bytes.reserved(), 0)
  })

  test('that is not there keeps the body from being read', async () => {
    const bytes = createBytesInFlight(1_000)
    bytes.reserve(800)
    const request = whole('x'.repeat(201))
    assert.equal(await takePush(request, { bytes, now }, neverCalled), 'busy')
    assert.equal(request.bodyUsed, false)
    assert.equal(bytes.reserved(), 800)
  })

  test('is not sought for a push that is too long', async () => {
    const bytes = createBytesInFlight(1_000)
    const headers = { 'content-length': String(MAX_PUSH_BYTES + 1) }
    const request = new Request(url, { method: 'POST', body: 'x', headers })
    assert.equal(await takePush(request, { bytes, now }, neverCalled), 'too_large')
    assert.equal(request.bodyUsed, false)
  })
})

describe('a push that does not tell its length', () => {
  test('takes the most that a push may have, until it is whole', async () => {
    const bytes = createBytesInFlight(MAX_PUSH_BYTES + 1_000)
    const first = Promise.withResolvers<void>()
    async function* body() {
      yield Buffer.alloc(100, 'x')
      await first.promise
      yield Buffer.alloc(200, 'x')
    }
    const done = Promise.withResolvers<void>()
    const whole = Promise.withResolvers<number>()
    const taken = takePush(chunked(ReadableStream.from(body())), { bytes, now }, async ({ delivery }) => {
      whole.resolve(delivery.data.byteLength)
      await done.promise
    })
    assert.equal(bytes.reserved(), MAX_PUSH_BYTES)
    first.resolve()
    assert.equal(await whole.promise, 300)
    assert.equal(bytes.reserved(), 300)
    done.resolve()
    await taken
    assert.equal(bytes.reserved(), 0)
  })

  test('may have the very most, and no byte more', async () => {
    const bytes = createBytesInFlight(1_000)
    const length = async (...sizes: readonly number[]) =>
      takePush(chunked(streamOf(...sizes)), { bytes, now }, async ({ delivery }) => delivery.data.byteLength)
    assert.equal(await length(MAX_PUSH_BYTES - 1, 1), MAX_PUSH_BYTES)
    assert.equal(await length(MAX_PUSH_BYTES, 1), 'too_large')
    assert.equal(bytes.reserved(), 0)
  })

  test('may be empty', async () => {
    const bytes = createBytesInFlight(1_000)
    const request = new Request(url, { method: 'POST' })
    const length = await takePush(request, { bytes, now }, async ({ delivery }) => delivery.data.byteLength)
    assert.equal(length, 0)
  })

  test('gives its room back when it breaks off', async () => {
    const bytes = createBytesInFlight(1_000)
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100, 'x')
      throw new Error('the caller went away')
    }
    assert.equal(await takePush(chunked(ReadableStream.from(body())), { bytes, now }, neverCalled), 'broken')
    assert.equal(bytes.reserved(), 0)
  })
})

function neverCalled(): Promise<never> {
  throw new Error('there is nothing to work with')
}
