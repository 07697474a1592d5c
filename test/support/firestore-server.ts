import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { GrpcClient, grpc } from 'google-gax'

/** A call as it arrived. */
export interface ServedCall {
  readonly method: 'BatchGetDocuments' | 'RunQuery' | 'RunAggregationQuery'
  readonly request: unknown
  /** How long the caller waits for all of it. */
  readonly timeoutMs: number
  /** Aborts when the caller ends the call. */
  readonly ended: AbortSignal
}

/** Answers a call, one message after the other. */
export type Serve = (call: ServedCall) => AsyncIterable<object>

export interface FirestoreServer extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
}

/** Speaks Firestore's protocol for the calls that read, and leaves it to `serve` what to say. */
export async function openFirestoreServer(serve: Serve): Promise<FirestoreServer> {
  const server = new grpc.Server()
  const handle = (method: ServedCall['method']) => (stream: grpc.ServerWritableStream<unknown, object>) => {
    const ended = new AbortController()
    stream.on('cancelled', () => ended.abort())
    const timeoutMs = Number(stream.getDeadline()) - Date.now()
    void answer(stream, serve({ method, request: stream.request, timeoutMs, ended: ended.signal }))
  }
  server.addService(firestoreService(), {
    BatchGetDocuments: handle('BatchGetDocuments'),
    RunQuery: handle('RunQuery'),
    RunAggregationQuery: handle('RunAggregationQuery'),
  })
  const bind = promisify(server.bindAsync.bind(server))
  const port = await bind('127.0.0.1:0', grpc.ServerCredentials.createInsecure())
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown()
    },
  }
}

async function answer(stream: grpc.ServerWritableStream<unknown, object>, messages: AsyncIterable<object>) {
  try {
    for await (const message of messages) {
      if (stream.cancelled) return
      if (!stream.write(message)) await once(stream, 'drain')
    }
    stream.end()
  } catch (error) {
    stream.emit('error', error)
  }
}

function firestoreService(): grpc.ServiceDefinition {
  const folder = dirname(createRequire(import.meta.url).resolve('@google-cloud/firestore/package.json'))
  const protocol = JSON.parse(readFileSync(join(folder, 'build/protos/v1.json'), 'utf8'))
  let found: unknown = new GrpcClient().loadProtoJSON(protocol)
  for (const part of ['google', 'firestore', 'v1', 'Firestore']) found = Object(found)[part]
  if (!isService(found)) throw new Error('the client describes no service')
  return found.service
}

function isService(found: unknown): found is grpc.ServiceClientConstructor {
  return typeof found === 'function' && 'service' in found
}
