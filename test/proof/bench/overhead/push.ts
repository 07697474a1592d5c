import { type Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'

const PUSH_TIMEOUT_MS = 60_000
const PROMPT = 'Summarise: bridges carry people over water, in all weathers. '.repeat(16)

/** A job as Pub/Sub pushes it. `start`: what its prompt begins with. */
export function envelope(id: string, start = ''): string {
  const messages = [{ role: 'user', content: `${start}${PROMPT}` }]
  const job = { id, url: '/v1/chat/completions', body: { messages } }
  const data = Buffer.from(JSON.stringify(job)).toString('base64')
  return JSON.stringify({ message: { data, attributes: {}, messageId: id }, subscription: 'bench' })
}

export async function push(
  url: string,
  authorization: string,
  body: string,
  agent: Agent,
): Promise<{ status?: number; body: string }> {
  const headers = { authorization, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const signal = AbortSignal.timeout(PUSH_TIMEOUT_MS)
  const sent = request(`${url}/push`, { method: 'POST', agent, headers, signal })
  const { promise, resolve, reject } = Promise.withResolvers<{ status?: number; body: string }>()
  sent.on('error', reject)
  sent.on('response', async (response) => {
    const status = response.statusCode
    resolve({ ...(status === undefined ? {} : { status }), body: await text(response) })
  })
  sent.end(body)
  return promise
}
