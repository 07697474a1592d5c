import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Line, splitLines } from '../../shared/lib/split-lines.ts'

const LIMIT = 20

async function linesOf(chunks: readonly Uint8Array[], limit = LIMIT): Promise<readonly Line[]> {
  const stream = (async function* () {
    yield* chunks
  })()
  return Array.fromAsync(splitLines(stream, limit))
}

const textsOf = async (text: string, limit?: number) =>
  (await linesOf([Buffer.from(text, 'latin1')], limit)).map(({ data }) => Buffer.from(data).toString('latin1'))

describe('a line ends', () => {
  test('at LF, and a CR before it is dropped', async () => {
    assert.deepEqual(await textsOf('one\ntwo\r\nthree\n'), ['one', 'two', 'three'])
  })

  test('at the end of the input, without LF too', async () => {
    assert.deepEqual(await textsOf('one\ntwo'), ['one', 'two'])
    assert.deepEqual(await textsOf(''), [])
    assert.deepEqual(await textsOf('\n\n'), ['', ''])
  })

  const others = { CR: '\r', VT: '\v', FF: '\f', NEL: '\x85', NUL: '\0' }
  for (const [name, byte] of Object.entries(others)) {
    test(`not at ${name}`, async () => assert.deepEqual(await textsOf(`a${byte}b\nc`), [`a${byte}b`, 'c']))
  }

  for (const [name, character] of Object.entries({ 'U+2028': '\u2028', 'U+2029': '\u2029', 'U+0085': '\u0085' })) {
    test(`not at ${name} in UTF-8`, async () => {
      const text = Buffer.from(`one${character}two`)
      assert.deepEqual((await linesOf([Buffer.concat([text, Buffer.from('\nx')])]))[0]?.data, text)
    })
  }
})

describe('a UTF-8 byte order mark', () => {
  const MARK = '\xef\xbb\xbf'
  test('at the start is dropped', async () => {
    assert.deepEqual(await textsOf(`${MARK}one\ntwo`), ['one', 'two'])
    assert.deepEqual(await textsOf(`${MARK}\n${MARK}`), ['', MARK])
  })

  test('anywhere else is data', async () => {
    assert.deepEqual(await textsOf(`a${MARK}\n${MARK}b`), [`a${MARK}`, `${MARK}b`])
  })

  test('and a CR take nothing of the room for a line', async () => {
    const longest = 'x'.repeat(LIMIT)
    assert.deepEqual(await textsOf(`${MARK}${longest}\r\n${longest}\r\n`), [longest, longest])
  })
})

test('every byte of every line is kept, however the input is cut into chunks', async () => {
  const byte = fc.oneof(fc.constantFrom(0x0a, 0x0d, 0xef, 0xbb, 0xbf, 0xe2, 0x80, 0xa8), fc.nat(255))
  const chunk = fc.array(byte, { maxLength: 12 }).map((bytes) => Uint8Array.from(bytes))
  await fc.assert(
    fc.asyncProperty(fc.array(chunk), async (chunks) => {
      const whole = Buffer.concat(chunks).toString('latin1')
      const expected = whole
        .replace(/^\xef\xbb\xbf/, '')
        .replaceAll('\r\n', '\n')
        .replace(/\n$/, '')
        .split('\n')
      const lines = await linesOf(chunks, 1_000)
      assert.deepEqual(
        lines.map(({ data }) => Buffer.from(data).toString('latin1')),
        whole === '' || whole === '\xef\xbb\xbf' ? lines.map(() => '') : expected,
      )
      assert.deepEqual(
        lines.map(({ number }) => number),
        lines.map((_, at) => at + 1),
      )
    }),
  )
})

test('a line over the limit is counted whole, and only its first bytes are held', async () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x78)
  const chunks = (async function* () {
    for (let n = 0; n < 64; n += 1) yield chunk
    yield Buffer.from('\r\nnext\n')
  })()
  const [long, next] = await Array.fromAsync(splitLines(chunks, LIMIT))
  assert.deepEqual(
    [long?.byteLength, long?.data.length, long?.data.buffer.byteLength],
    [64 * 1024 * 1024, LIMIT, 1024 * 1024],
  )
  assert.deepEqual([next?.number, Buffer.from(next?.data ?? []).toString()], [2, 'next'])
})

test('a line of exactly the limit is whole, and one byte more is over it', async () => {
  for (const length of [LIMIT - 1, LIMIT, LIMIT + 1]) {
    for (const ending of ['', '\n', '\r\n']) {
      const [line] = await linesOf([Buffer.from(`${'x'.repeat(length)}${ending}`)])
      assert.deepEqual([line?.byteLength, line?.data.length], [length, Math.min(length, LIMIT)])
    }
  }
})

test('no chunk is read before the lines of the previous chunk are consumed', async () => {
  let read = 0
  const chunks = (async function* () {
    for (;;) {
      read += 1
      yield Buffer.from('a\nb\n')
    }
  })()
  const lines = splitLines(chunks, LIMIT)
  for (const expected of [1, 1, 2, 2, 3]) {
    await lines.next()
    assert.equal(read, expected)
  }
  await lines.return(undefined)
})
