import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

/** Reads one header by its name in lower case. */
export type HeaderReader = Pick<Headers, 'get'>

/** A request of Pub/Sub, whose body is not read yet. */
export interface PushRequest {
  readonly headers: HeaderReader
  readonly body: Readable
}

/** A repeated header is joined with commas, as Headers does it. Node's own `headers` would drop all but one of some. */
export function headersOf({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): HeaderReader {
  const values = new Map<string, string>()
  for (let at = 1; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at - 1]?.toLowerCase(), rawHeaders[at]]
    const earlier = values.get(name)
    values.set(name, earlier === undefined ? value : `${earlier}, ${value}`)
  }
  return { get: (name) => values.get(name.toLowerCase()) ?? null }
}
