import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { z } from 'zod'

export const STORAGE = 'https://storage.azure.com'

export interface BlobServer extends AsyncDisposable {
  /** Of the one blob. */
  readonly url: string
}

/** The part of Azure Storage that returns one blob to a caller with a token for it. */
export async function serveBlob(text: string, tokenKeysUrl: string): Promise<BlobServer> {
  const keys = createRemoteJWKSet(new URL(tokenKeysUrl))
  const statusFor = async ({ headers }: IncomingMessage) => {
    if (headers['x-ms-version'] === undefined) return 400
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? []
    const verified = jwtVerify(token, keys, { audience: STORAGE })
    return verified.then(
      () => 200,
      () => 401,
    )
  }
  const server = createServer(async (request, response) => {
    const status = await statusFor(request)
    response.writeHead(status).end(status === 200 ? text : '')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${port}/documents/bridge.txt`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
