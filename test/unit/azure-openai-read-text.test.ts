import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { test } from 'node:test'
import { readText } from '../../shared/models/azure-openai/read-text.ts'

const bodyOf = (...chunks: readonly (string | Uint8Array)[]) =>
  Readable.from(chunks.map((chunk) => (typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk)))

test('a body is read to its very last byte, and not when it has one more', async () => {
  assert.equal(await readText(bodyOf('12345', '67890'), 10), '1234567890')
  assert.equal(await readText(bodyOf('12345', '67890', '1'), 10), undefined)
})

test('an empty body is no text', async () => {
  assert.equal(await readText(bodyOf(), 10), '')
})

test('a character may be cut in two on its way', async () => {
  const [first, ...rest] = new TextEncoder().encode('€')
  assert.equal(await readText(bodyOf('a', Uint8Array.of(first ?? 0), Uint8Array.from(rest), 'z'), 10), 'a€z')
})

test('a byte order mark is dropped at the beginning, and nowhere else', async () => {
  const mark = Uint8Array.of(0xef, 0xbb, 0xbf)
  assert.equal(await readText(bodyOf(mark, '{}'), 10), '{}')
  assert.equal(await readText(bodyOf(Uint8Array.of(0xef), Uint8Array.of(0xbb, 0xbf), '{}'), 10), '{}')
  assert.equal(await readText(bodyOf('{', mark, '}'), 10), '{\ufeff}')
  assert.equal(await readText(bodyOf(mark), 10), '')
})

test('a body that is too long is not read further', async () => {
  let heard = 0
  let isOver = false
  async function* endless() {
    try {
      for (;;) {
        heard += 1
        yield new Uint8Array(4)
      }
    } finally {
      isOver = true
    }
  }
  const body = Readable.from(endless())
  assert.equal(await readText(body, 10), undefined)
  await finished(body).catch(() => undefined)
  assert.ok(isOver)
  assert.ok(heard <= 4, `${heard}`)
})

test('a long body is read as a whole too, and a mark in front of it is dropped', async () => {
  const text = 'a€'.repeat(100_000)
  const bytes = Buffer.from(`\ufeff${text}`)
  const chunks = Array.from({ length: 7 }, (_, n) =>
    bytes.subarray((n * bytes.length) / 7, ((n + 1) * bytes.length) / 7),
  )
  assert.equal(await readText(bodyOf(...chunks), bytes.length), text)
  assert.equal(await readText(bodyOf(...chunks), bytes.length - 1), undefined)
})

test('a body that was destroyed before it is read rejects', async () => {
  const body = bodyOf('12345')
  body.destroy()
  await assert.rejects(readText(body, 10), /ended before/)
})

test('a body that breaks off rejects', async () => {
  async function* broken() {
    yield new Uint8Array(4)
    throw new Error('the connection was reset')
  }
  await assert.rejects(readText(Readable.from(broken()), 10), /the connection was reset/)
})
