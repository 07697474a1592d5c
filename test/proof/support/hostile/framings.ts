import fc from 'fast-check'
import type { Envelope } from './envelopes.ts'
import { anyOf, mostly, type Named } from './kinds.ts'

/**
 * What HTTP makes of a request. read: its body comes as it was meant. refused: it is no request, or not one of ours.
 * either: the outcome is not fixed.
 */
export type Fate = 'read' | 'refused' | 'either'

export interface Framed {
  /** The request, byte by byte. */
  readonly bytes: Buffer
  /** The body that comes. */
  readonly body: Buffer
  readonly fate: Fate
  /** The sender goes away where the bytes end. */
  readonly isCut?: boolean
}

/** How a request is put on the wire. `authorization`: a line of the head, or none. */
export type Framing = Named<{
  readonly frame: (path: string, authorization: readonly string[], envelope: Envelope) => Framed
}>

const END = '\r\n'

function request(line: string, headers: readonly string[], body: Buffer | string): Buffer {
  const head = [line, 'host: worker', 'connection: close', ...headers, '', ''].join(END)
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)])
}

/** A request that says so much of its length. */
function withLength(lengthOf: (body: Buffer) => readonly string[], fate: Fate, isCut = false): Omit<Framing, 'kind'> {
  return {
    frame: (path, authorization, { headers, body }) => ({
      ...{ bytes: request(`POST ${path} HTTP/1.1`, [...authorization, ...headers, ...lengthOf(body)], body), body },
      ...{ fate, isCut },
    }),
  }
}

const says = (length: number | string) => `content-length: ${length}`
const plain = withLength((body) => [says(body.byteLength)], 'read')

function withLine(lineOf: (path: string) => string, fate: Fate): Omit<Framing, 'kind'> {
  return {
    frame: (path, authorization, { headers, body }) => ({
      bytes: request(lineOf(path), [...authorization, ...headers, says(body.byteLength)], body),
      ...{ body, fate },
    }),
  }
}

function chunked(sizes: readonly number[], extension: string, trailer: string): Omit<Framing, 'kind'> {
  return {
    frame: (path, authorization, { headers, body }) => {
      const parts = [...cutAt(body, sizes)].map((part) =>
        Buffer.concat([Buffer.from(part.byteLength.toString(16) + extension + END), part, Buffer.from(END)]),
      )
      const text = Buffer.concat([...parts, Buffer.from(`0${END}${trailer}${END}`)])
      const lines = [...authorization, ...headers, 'transfer-encoding: chunked']
      return { bytes: request(`POST ${path} HTTP/1.1`, lines, text), body, fate: 'read' }
    },
  }
}

function* cutAt(body: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let at = 0
  for (const size of [...sizes, body.byteLength]) {
    const part = body.subarray(at, at + size)
    if (part.byteLength > 0) yield part
    at += size
  }
}

export const anyFraming: fc.Arbitrary<Framing> = mostly(
  anyOf({ plain: fc.constant(plain) }),
  anyOf({
    chunked: fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 5 }).map((sizes) => chunked(sizes, '', '')),
    'chunked, with extensions and a trailer': fc.constant(
      chunked([10], ';a="b"', `x: y${END}authorization: Bearer x${END}`),
    ),
    'a length that is too short': fc.nat(100).map((less) => ({
      frame: (path, authorization, { headers, body: whole }) => {
        const body = whole.subarray(0, Math.max(0, whole.byteLength - 1 - less))
        const lines = [...authorization, ...headers, says(body.byteLength)]
        // What comes after the end may be found before the answer is ready, and then spoils the connection.
        return { bytes: request(`POST ${path} HTTP/1.1`, lines, whole), body, fate: 'either' }
      },
    })),
    'a length that is too long': fc
      .constantFrom(1, 1_000, 10_000_000)
      .map((more) => withLength((body) => [says(body.byteLength + more)], 'refused', true)),
    'a length beyond every limit': fc
      .constantFrom(14_500_001, 1e15, '18446744073709551616')
      .map((length) => withLength(() => [says(length)], 'refused', true)),
    'a length that is no number': fc
      .constantFrom('-1', '1e3', '0x10', 'NaN', '7, 7', '')
      .map((length) => withLength(() => [says(length)], 'refused', true)),
    'two lengths': fc.constant(withLength((body) => [says(body.byteLength), says(1)], 'refused', true)),
    'a length and chunks': fc.constant(
      withLength((body) => [says(body.byteLength), 'transfer-encoding: chunked'], 'refused', true),
    ),
    'chunks that are none': fc.constant(withLength(() => ['transfer-encoding: chunked'], 'refused', true)),
    'a NUL in the head': fc.constant(withLength((body) => ['x: a\0b', says(body.byteLength)], 'refused')),
    'a head beyond every limit': fc.constant(
      withLength((body) => [`x: ${'y'.repeat(150_000)}`, says(body.byteLength)], 'refused'),
    ),
    'another method': fc
      .constantFrom('GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND')
      .map((method) => withLine((path) => `${method} ${path} HTTP/1.1`, 'refused')),
    'another path': fc
      .constantFrom('%2f', '/', '//', ';x', '/..', '%00', '/push', '.', '%', '\\', '#x')
      .map((more) => withLine((path) => `POST ${path}${more} HTTP/1.1`, 'either')),
    'the path in other words': fc
      .constantFrom('/', '/%2e', '/.', '/x/..', 'http://worker')
      .map((before) => withLine((path) => `POST ${before}${path} HTTP/1.1`, 'either')),
    'a query': fc
      .constantFrom('?', '?x=1', '?%00', '?__proto__[x]=1')
      .map((query) => withLine((path) => `POST ${path}${query} HTTP/1.1`, 'read')),
    'an old version': fc.constant(withLine((path) => `POST ${path} HTTP/1.0`, 'read')),
    'no version': fc.constant(withLine((path) => `POST ${path} HTTP/9.9`, 'refused')),
    'an expectation': fc
      .constantFrom('100-continue')
      .map((expected) => withLength((body) => [says(body.byteLength), `expect: ${expected}`], 'read')),
  }),
)
