import { promisify } from 'node:util'
import { protos } from '@google-cloud/pubsub'
import { grpc } from 'google-gax'

const { PublishRequest, PublishResponse } = protos.google.pubsub.v1

/** What a publisher stand-in was sent in one call. */
export interface PublishCall {
  readonly topic: string
  readonly texts: readonly string[]
}

/** How a call is answered: with an id for each message, `id of TEXT`; never; or with a gRPC status. */
type Answer = 'ids' | 'never' | grpc.status

/** A server that speaks google.pubsub.v1.Publisher, as far as publishing goes. */
export interface PublisherStandIn extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  /** Oldest first. */
  readonly calls: readonly PublishCall[]
  /** The messages that were answered with an id, oldest first. */
  readonly published: readonly string[]
}

/** Starts one that answers as the script says; `n` is 1 for the first call. */
export async function startPublisher(script: (call: PublishCall, n: number) => Answer): Promise<PublisherStandIn> {
  const calls: PublishCall[] = []
  const published: string[] = []
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 })
  server.addService(PUBLISHER, {
    publish({ request }: { request: PublishCall }, callback: grpc.sendUnaryData<readonly string[]>) {
      calls.push(request)
      const answer = script(request, calls.length)
      if (answer === 'never') return
      if (answer !== 'ids') return callback({ code: answer, details: 'as the script says' })
      published.push(...request.texts)
      callback(
        null,
        request.texts.map((text) => `id of ${text}`),
      )
    },
  })
  const bind = promisify(server.bindAsync.bind(server))
  const port = await bind('127.0.0.1:0', grpc.ServerCredentials.createInsecure())
  return {
    address: `127.0.0.1:${port}`,
    calls,
    published,
    async [Symbol.asyncDispose]() {
      server.forceShutdown()
    },
  }
}

const PUBLISHER = {
  publish: {
    path: '/google.pubsub.v1.Publisher/Publish',
    requestStream: false,
    responseStream: false,
    requestDeserialize: readCall,
    responseSerialize: (messageIds: string[]) => Buffer.from(PublishResponse.encode({ messageIds }).finish()),
    requestSerialize: () => Buffer.alloc(0),
    responseDeserialize: () => undefined,
  },
} as const

function readCall(bytes: Buffer): PublishCall {
  const { topic, messages } = PublishRequest.decode(bytes)
  return { topic, texts: messages.map(({ data }) => Buffer.from(data ?? '').toString()) }
}
