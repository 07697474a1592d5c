import { once } from 'node:events'
import { connect, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { z } from 'zod'
import { type Operations, readOperations } from './read-operations.ts'

/** A stretch of wire before Firestore that counts what passes. */
export interface CountingWire extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  /** What passed since this was last asked. Throws for a call that could not be read. */
  take(): Operations
}

const NOTHING: Operations = { reads: 0, writes: 0, appliedWrites: 0, calls: 0 }

/**
 * Passes every HTTP/2 stream on to Firestore as it is, and reads on the side what it asked and how it was answered.
 *
 * So what is counted is what left the client, its libraries' own calls included.
 */
export async function countOperations(firestore: string): Promise<CountingWire> {
  let passed = NOTHING
  const failures: unknown[] = []
  const sessions = new Set<{ destroy(): void }>()
  const server = createServer()
  server.on('session', (session) => {
    sessions.add(session)
    passOn(session, firestore, sessions, (path, asked, answered) => {
      try {
        passed = sum(passed, readOperations(path, asked, answered))
      } catch (error) {
        failures.push(error)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    address: `127.0.0.1:${port}`,
    take() {
      if (failures.length > 0) throw failures[0]
      const taken = passed
      passed = NOTHING
      return taken
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const session of sessions) session.destroy()
      await closed
    },
  }
}

function passOn(
  session: ServerHttp2Session,
  firestore: string,
  sessions: Set<{ destroy(): void }>,
  onPassed: (path: string, asked: Buffer, answered: Buffer) => void,
): void {
  const behind = connect(`http://${firestore}`)
  sessions.add(behind)
  session.on('close', () => behind.destroy())
  behind.on('close', () => session.destroy())
  behind.on('error', () => session.destroy())
  session.on('stream', (stream, headers) => {
    const request = behind.request(headers)
    const asked = copy(stream, request)
    const answered = copy(request, stream)
    request.on('response', (answer, flags) => {
      // An answer without a body has its trailers for headers.
      const isWhole = (flags & END_OF_STREAM) !== 0
      stream.respond(answer, isWhole ? { endStream: true } : { waitForTrailers: true })
    })
    const trailers = once(request, 'trailers')
    stream.on('wantTrailers', () => void trailers.then(([sent]) => stream.sendTrailers(sent)))
    trailers.catch(() => undefined)
    request.on('close', () => onPassed(String(headers[':path']), asked(), answered()))
    endTogether(stream, request)
  })
}

const END_OF_STREAM = 0x1

type Stream = ServerHttp2Stream | ReturnType<ReturnType<typeof connect>['request']>

/** Passes the bytes on, and gives those that have passed. */
function copy(from: Stream, to: Stream): () => Buffer {
  const chunks: Buffer[] = []
  from.on('data', (chunk: Buffer) => chunks.push(chunk))
  from.pipe(to)
  return () => Buffer.concat(chunks)
}

function endTogether(...streams: readonly Stream[]): void {
  for (const one of streams) {
    one.on('error', () => undefined)
    one.on('aborted', () => {
      for (const other of streams) other.close()
    })
  }
}

function sum(a: Operations, b: Operations): Operations {
  return {
    reads: a.reads + b.reads,
    writes: a.writes + b.writes,
    appliedWrites: a.appliedWrites + b.appliedWrites,
    calls: a.calls + b.calls,
  }
}
