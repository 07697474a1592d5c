import { once } from 'node:events'
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

/** What answers one message with one, by the path it is called under, such as /tfplugin5.Provider/GetSchema. */
export type Methods = Readonly<Record<string, (request: Buffer) => Uint8Array>>

export interface GrpcServer extends AsyncDisposable {
  readonly port: number
}

const OK = '0'
const UNIMPLEMENTED = '12'
const INTERNAL = '13'

/** The flag and the length before each message. */
const PREFIX_BYTES = 5

/** Serves calls of one message each way over HTTP/2 without TLS, on a free port of loopback. */
export async function serveGrpc(methods: Methods): Promise<GrpcServer> {
  const sessions = new Set<ServerHttp2Session>()
  const server = createServer()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    // A caller that has exited breaks its streams. There is no receiver left for the error.
    stream.on('error', () => stream.destroy())
    answer(stream, methods[headers[':path'] ?? '']).catch(() => stream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function answer(stream: ServerHttp2Stream, method: Methods[string] | undefined): Promise<void> {
  if (method === undefined) return end(stream, UNIMPLEMENTED, 'this provider has no such method')
  const request = await buffer(stream)
  try {
    const reply = Buffer.from(method(request.subarray(PREFIX_BYTES)))
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(reply.length, 1)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': OK }))
    stream.end(Buffer.concat([prefix, reply]))
  } catch (error) {
    end(stream, INTERNAL, encodeURIComponent(String(error)))
  }
}

function end(stream: ServerHttp2Stream, status: string, text: string): void {
  const headers = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status, 'grpc-message': text }
  stream.respond(headers, { endStream: true })
}
