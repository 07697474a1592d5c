import { Agent } from 'node:http'
import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'
import { concurrently } from '../harness/concurrently.ts'
import { envelope, push } from './push.ts'

const CONNECTIONS = 50

const question = z.object({ url: z.string(), authorization: z.string(), jobs: z.int(), round: z.string() })

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })

/** Pushes the jobs, and returns how many were answered with 204 and what the first other answer was. */
answerParent(question, async ({ url, authorization, jobs, round }) => {
  let done = 0
  let refused: string | undefined
  const startedAt = performance.now()
  await concurrently(jobs, CONNECTIONS, async (n) => {
    const answer = await push(url, authorization, envelope(`${round}-${n}`), agent)
    if (answer.status === 204) done += 1
    else refused ??= `${answer.status} ${answer.body}`
  })
  return { done, wallMs: performance.now() - startedAt, ...(refused === undefined ? {} : { refused }) }
})
