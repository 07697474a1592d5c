import { createServer } from 'node:http'
import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'

/** Azure OpenAI at no cost at all: every request gets the same answer at once, with the headers of a vast quota. */

const body = JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_760_000_000,
  model: 'gpt-4o-mini-2024-07-18',
  choices: [
    {
      index: 0,
      finish_reason: 'stop',
      logprobs: null,
      message: { role: 'assistant', content: 'A summary. '.repeat(80), refusal: null, annotations: [] },
    },
  ],
  usage: { prompt_tokens: 250, completion_tokens: 160, total_tokens: 410 },
})
const headers = {
  'content-type': 'application/json',
  'content-length': Buffer.byteLength(body),
  'apim-request-id': 'a5e7f3b9-0000-4000-8000-000000000000',
  'x-ratelimit-limit-requests': '100000000',
  'x-ratelimit-remaining-requests': '99999999',
  'x-ratelimit-limit-tokens': '100000000000',
  'x-ratelimit-remaining-tokens': '99999999999',
}

let calls = 0
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    calls += 1
    response.writeHead(200, headers).end(body)
  })
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1')

/** Reports where it listens, and how many calls were answered since the last question. */
answerParent(z.object({}), async () => {
  const { port } = z.object({ port: z.number() }).parse(server.address())
  const answer = { port, calls }
  calls = 0
  return answer
})
