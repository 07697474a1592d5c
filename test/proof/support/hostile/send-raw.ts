import { connect } from 'node:net'

/** An answer as far as it came; `status` is 0 where the server closed the connection without a word. */
export interface RawAnswer {
  readonly status: number
  readonly body: string
}

const ANSWER_WITHIN_MS = 300_000

/**
 * Sends bytes as they are, on a connection of their own, and reads until the server closes it. `isCut`: the sender goes
 * away where the bytes end. Rejects when no answer comes within five minutes.
 */
export function sendRaw(url: string, bytes: Uint8Array, isCut = false): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const socket = connect(Number(port), hostname)
  const chunks: Buffer[] = []
  socket.setTimeout(ANSWER_WITHIN_MS, () => {
    reject(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`))
    socket.destroy()
  })
  socket.on('data', (chunk) => chunks.push(chunk))
  // A server that has refused a request need not hear it to its end.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => resolve(readAnswer(Buffer.concat(chunks).toString())))
  if (isCut) socket.end(bytes)
  else socket.write(bytes)
  return promise
}

function readAnswer(text: string): RawAnswer {
  const last = text.replace(/^(HTTP\/1\.1 1\d\d [^\n]*\r\n\r\n)+/, '')
  const [head = '', ...body] = last.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0), body: body.join('\r\n\r\n') }
}
