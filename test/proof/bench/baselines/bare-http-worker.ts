import { Agent, createServer, request } from 'node:http'
import { json, text } from 'node:stream/consumers'
import { z } from 'zod'
import { printAddress, readJob } from './push.ts'

/** The floor: Node's own HTTP on both sides, no framework, no client library, no token and no record. */
const { AZURE_OPENAI_ENDPOINT: endpoint, AZURE_OPENAI_DEPLOYMENT: model } = z
  .object({ AZURE_OPENAI_ENDPOINT: z.string(), AZURE_OPENAI_DEPLOYMENT: z.string() })
  .parse(process.env)
const agent = new Agent({ keepAlive: true })
const headers = { 'content-type': 'application/json', authorization: 'Bearer none' }
const answer = z.object({ choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1) })

const server = createServer(async (push, response) => {
  const { body } = readJob(await json(push))
  answer.parse(JSON.parse(await ask(JSON.stringify({ ...body, model }))))
  response.writeHead(204).end()
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', () => printAddress(server.address()))

function ask(body: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const sent = request(`${endpoint}/openai/v1/chat/completions`, { method: 'POST', agent, headers })
  sent.on('error', reject)
  sent.on('response', (response) => text(response).then(resolve, reject))
  sent.end(body)
  return promise
}
