import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

/** One request as it came over the wire. */
export interface Recorded {
  readonly method: string | undefined
  /** Path and query. */
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server that answers every request with one text, status and headers, and keeps what it was sent. */
export interface RecordingModel extends AsyncDisposable {
  readonly url: string
  /** Oldest first. */
  readonly requests: readonly Recorded[]
}

export async function startRecordingModel(
  answer: string,
  status = 200,
  more: Readonly<Record<string, string>> = {},
): Promise<RecordingModel> {
  const requests: Recorded[] = []
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request
    requests.push({ method, url, headers, body: (await buffer(request)).toString() })
    response.writeHead(status, { 'content-type': 'application/json', ...more }).end(answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
