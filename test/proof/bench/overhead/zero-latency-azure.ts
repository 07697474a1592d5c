import { createServer } from 'node:http'
import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'
import { ANSWER } from './model-answer.ts'

/** Azure OpenAI at no cost at all: every request is answered at once. */

let calls = 0
const server = createServer((request, response) => {
  request.resume().on('end', () => {
    calls += 1
    response.writeHead(200, ANSWER.headers).end(ANSWER.body)
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
