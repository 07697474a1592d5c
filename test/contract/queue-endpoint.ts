import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { z } from 'zod'

/** A push that has arrived and waits for its answer. */
export interface ArrivedPush {
  readonly at: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly callerPort: number | undefined
  answer(status: number): void
  /** Sends 102 Processing, and the answer later. */
  acceptEarly(): void
  /** Dies in the middle of the request: the connection breaks, and there is no answer. */
  die(): void
}

/** An HTTP endpoint whose owner answers each push itself. */
export interface PushEndpoint {
  readonly url: string
  /** Resolves with the next push that no caller has read yet. */
  next(): Promise<ArrivedPush>
  close(): Promise<void>
}

export async function openEndpoint(): Promise<PushEndpoint> {
  const arrived: ArrivedPush[] = []
  const waiting: ((push: ArrivedPush) => void)[] = []
  const endpoint = await openAnsweringEndpoint((push) => {
    const take = waiting.shift()
    if (take === undefined) arrived.push(push)
    else take(push)
  })
  const next = async () => arrived.shift() ?? new Promise<ArrivedPush>((resolve) => waiting.push(resolve))
  return { ...endpoint, next }
}

/** More than all the attributes of a message, which an unwrapped push brings as headers. */
const MAX_HEADER_BYTES = 256 * 1_024

/** An endpoint that hands each push over at once. */
export async function openAnsweringEndpoint(onPush: (push: ArrivedPush) => void): Promise<Omit<PushEndpoint, 'next'>> {
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, async (request, response) =>
    onPush(await read(request, response)),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${port}/push`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function read(request: IncomingMessage, response: ServerResponse): Promise<ArrivedPush> {
  const body = Buffer.concat(await request.toArray())
  return {
    at: performance.now(),
    headers: request.headers,
    body,
    callerPort: request.socket.remotePort,
    acceptEarly: () => response.writeProcessing(),
    answer: (status) => response.writeHead(status).end(),
    die: () => request.socket.destroy(),
  }
}

const envelopeSchema = z.strictObject({
  message: z.strictObject({
    data: z.base64().default(''),
    attributes: z.record(z.string(), z.string()).default({}),
    messageId: z.string(),
    message_id: z.string(),
    publishTime: z.iso.datetime(),
    publish_time: z.iso.datetime(),
  }),
  subscription: z.string(),
  deliveryAttempt: z.int().optional(),
})

/** Reads a wrapped push; throws when it is not one. */
export function readEnvelope({ body }: ArrivedPush) {
  const { message, ...rest } = envelopeSchema.parse(JSON.parse(body.toString('utf8')))
  const { messageId: id, attributes, publishTime } = message
  return { id, attributes, publishTime, data: Buffer.from(message.data, 'base64'), ...rest }
}
