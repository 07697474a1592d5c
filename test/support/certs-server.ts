import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { JSONWebKeySet } from 'jose'
import { z } from 'zod'

type Answer = 'keys' | 'error' | 'garbage' | 'no keys' | 'hang'

/** Google's certificates over the wire, with the ways in which they can fail to come. */
export interface CertsServer {
  readonly url: string
  /** How often they were asked for. */
  requests(): number
  answerWith(answer: Answer): void
  close(): Promise<void>
}

export async function serveCerts(jwks: JSONWebKeySet): Promise<CertsServer> {
  let requests = 0
  let answer: Answer = 'keys'
  const server = createServer((_, response) => {
    requests += 1
    reply(response, answer, jwks)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${port}/certs`,
    requests: () => requests,
    answerWith(next) {
      answer = next
    },
    async close() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
}

function reply(response: ServerResponse, answer: Answer, jwks: JSONWebKeySet): void {
  if (answer === 'hang') return
  response.writeHead(answer === 'error' ? 500 : 200, { 'content-type': 'application/json' })
  response.end({ keys: JSON.stringify(jwks), 'no keys': '{}', garbage: '<html>', error: '' }[answer])
}
