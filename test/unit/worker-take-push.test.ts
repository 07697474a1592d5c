import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { createBytesInFlight } from '../../worker/delivery/bytes-in-flight.ts'
import type { ParsedDelivery } from '../../worker/delivery/delivery.ts'
import type { PushRequest } from '../../worker/http/push-request.ts'
import { MAX_PUSH_BYTES, readPush } from '../../worker/http/read-push.ts'

const now = () => 1_000
const lengthOf = async ({ delivery }: ParsedDelivery) => delivery.data.byteLength

function whole(text: string): PushRequest {
  return { headers: new Headers({ 'content-length': String(text.length) }), body: Readable.from([Buffer.from(text)]) }
}

/** A push without a declared length. */
function chunked(chunks: Readable): PushRequest {
  return { headers: new Headers(), body: chunks }
}

function streamOf(...sizes: readonly number[]): Readable {
  return Readable.from(sizes.map((size) => Buffer.alloc(size, 'x')))
}

describe('room for a push', () => {
  test('is its length while it is processed, and is released then', async () => {
    const bytes = createBytesInFlight(1_000)
    const seen = await readPush(whole('x'.repeat(300)), { bytes, now }, async ({ delivery }) => {
      return [delivery.data.byteLength, delivery.arrivedAt, bytes.reserved()]
    })
    assert.deepEqual(seen, [300, 1_000, 300])
    assert.equal(bytes.reserved(), 0)
  })

  test('is released when its processing fails', async () => {
    const bytes = createBytesInFlight(1_000)
    const work = () => Promise.reject(new Error('an internal error'))
    await assert.rejects(readPush(whole('x'), { bytes, now }, work), /an internal error/)
    assert.equal(bytes.reserved(), 0)
  })

  test('that is missing prevents the body from being read', async () => {
    const bytes = createBytesInFlight(1_000)
    bytes.admit(800)?.grow(800)
    const request = whole('x'.repeat(201))
    assert.equal(await readPush(request, { bytes, now }, neverCalled), 'busy')
    assert.equal(request.body.readableDidRead, false)
    assert.equal(bytes.reserved(), 800)
  })

  test('is not requested for a push that is too long', async () => {
    const bytes = createBytesInFlight(1_000)
    const headers = { 'content-length': String(MAX_PUSH_BYTES + 1) }
    const request = { headers: new Headers(headers), body: streamOf(1) }
    assert.equal(await readPush(request, { bytes, now }, neverCalled), 'too_large')
    assert.equal(request.body.readableDidRead, false)
  })
})

describe('a push that arrives slowly', () => {
  /** A push of 20,000 bytes and one more, which comes when it is let. */
  function stalling(headers: Readonly<Record<string, string>>) {
    const more = Promise.withResolvers<void>()
    async function* body() {
      yield Buffer.alloc(20_000, 'x')
      await more.promise
      yield Buffer.alloc(1, 'x')
    }
    const request = { headers: new Headers(headers), body: Readable.from(body()) }
    return { request, goOn: more.resolve }
  }

  for (const [what, headers] of [
    ['says that it is long', { 'content-length': '14500000' }],
    ['has no declared length', {}],
  ] as const) {
    test(`and ${what} holds no more than what came of it, so that others are read meanwhile`, async () => {
      const bytes = createBytesInFlight(15_000_000)
      const stalled = [stalling(headers), stalling(headers)]
      const taken = stalled.map(({ request }) => readPush(request, { bytes, now }, async () => bytes.reserved()))
      while (bytes.reserved() < 40_000) await new Promise(setImmediate)
      const length = await readPush(whole('x'.repeat(300_000)), { bytes, now }, lengthOf)
      assert.deepEqual([length, bytes.reserved()], [300_000, 40_000])
      for (const { goOn } of stalled) goOn()
      await Promise.all(taken)
      assert.equal(bytes.reserved(), 0)
    })
  }

  test('is busy when others hold the room that the rest of it needs, and releases its own', async () => {
    const bytes = createBytesInFlight(30_000)
    const { request, goOn } = stalling({})
    const taken = readPush(request, { bytes, now }, neverCalled)
    while (bytes.reserved() < 20_000) await new Promise(setImmediate)
    const other = bytes.admit(10_000)
    assert.equal(other?.grow(10_000), true)
    goOn()
    assert.equal(await taken, 'busy')
    assert.equal(bytes.reserved(), 10_000)
  })
})

describe('a push without a declared length', () => {
  test('may have the very most, and no byte more', async () => {
    const bytes = createBytesInFlight(1_000)
    const length = (...sizes: readonly number[]) => readPush(chunked(streamOf(...sizes)), { bytes, now }, lengthOf)
    assert.equal(await length(MAX_PUSH_BYTES - 1, 1), MAX_PUSH_BYTES)
    assert.equal(await length(MAX_PUSH_BYTES, 1), 'too_large')
    assert.equal(bytes.reserved(), 0)
  })

  test('may be empty', async () => {
    const bytes = createBytesInFlight(1_000)
    assert.equal(await readPush(chunked(Readable.from([])), { bytes, now }, lengthOf), 0)
  })

  test('releases its room when it breaks off', async () => {
    const bytes = createBytesInFlight(1_000)
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(100, 'x')
      throw new Error('the caller went away')
    }
    assert.equal(await readPush(chunked(Readable.from(body())), { bytes, now }, neverCalled), 'broken')
    assert.equal(bytes.reserved(), 0)
  })
})

function neverCalled(): Promise<never> {
  throw new Error('there is nothing to work with')
}
