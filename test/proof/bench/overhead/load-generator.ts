import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'
import { concurrently } from '../harness/concurrently.ts'

const CONNECTIONS = 50
const PUSH_TIMEOUT_MS = 60_000
const PROMPT = 'Summarise: bridges carry people over water, in all weathers. '.repeat(16)

const question = z.object({ url: z.string(), authorization: z.string(), jobs: z.int(), round: z.string() })

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

/** Pushes the jobs, and returns how many were answered with 204 and what the first other answer was. */
answerParent(question, async ({ url, authorization, jobs, round }) => {
  let done = 0
  let refused: string | undefined
  const startedAt = performance.now()
  await concurrently(jobs, CONNECTIONS, async (n) => {
    const answer = await push(url, authorization, envelope(`${round}-${n}`))
    if (answer.status === 204) done += 1
    else refused ??= `${answer.status} ${answer.body}`
  })
  return { done, wallMs: performance.now() - startedAt, ...(refused === undefined ? {} : { refused }) }
})

/** A job as Pub/Sub pushes it. */
function envelope(id: string): string {
  const job = { id, url: '/v1/chat/completions', body: { messages: [{ role: 'user', content: PROMPT }] } }
  const data = Buffer.from(JSON.stringify(job)).toString('base64')
  return JSON.stringify({ message: { data, attributes: {}, messageId: id }, subscription: 'bench' })
}

async function push(url: string, authorization: string, body: string): Promise<{ status?: number; body: string }> {
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
