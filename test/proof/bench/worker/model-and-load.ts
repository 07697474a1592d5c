import { Agent, createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'
import { ANSWER } from '../overhead/model-answer.ts'
import { envelope, push } from '../overhead/push.ts'

/**
 * Pushes jobs and plays the model, in one process: so it knows of each job how long the model had it, and what the worker
 * added.
 */
const openQuestion = z.object({ kind: z.literal('open') })
const pushQuestion = z.object({
  kind: z.literal('push'),
  ...{ url: z.string(), authorization: z.string(), jobs: z.int(), round: z.string() },
  /** One push after the other at this rate, each answered by the model after `modelMs`. */
  paced: z.object({ perSecond: z.number(), modelMs: z.number() }).optional(),
})

/** The model answers when it has them all, at the latest after this time. */
const HELD_MS = 20_000

const agent = new Agent({ keepAlive: true })
const modelMs = new Map<string, number>()
let answerAfter: (answer: () => void) => void = (answer) => answer()

const model = createServer(async (request, response) => {
  const body = await text(request)
  const askedAt = performance.now()
  answerAfter(() => {
    modelMs.set(/"content":"([^"]*?): Summarise/.exec(body)?.[1] ?? '', performance.now() - askedAt)
    response.writeHead(200, ANSWER.headers).end(ANSWER.body)
  })
})
model.keepAliveTimeout = 600_000
model.listen(0, '127.0.0.1')

answerParent(z.union([openQuestion, pushQuestion]), async (question) => {
  if (question.kind === 'open') return z.object({ port: z.number() }).parse(model.address())
  const { url, authorization, jobs, round, paced } = question
  modelMs.clear()
  answerAfter = paced === undefined ? whenAllAsked(jobs) : (answer) => setTimeout(answer, paced.modelMs)
  const startedAt = performance.now()
  const pushes = Array.from({ length: jobs }, async (_, n) => {
    if (paced !== undefined) await delay((n * 1_000) / paced.perSecond)
    const id = `${round}-${n}`
    const pushedAt = performance.now()
    const { status } = await push(url, authorization, envelope(id, `${id}: `), agent)
    const addedMs = performance.now() - pushedAt - (modelMs.get(id) ?? Number.NaN)
    return status === 204 ? [addedMs] : []
  })
  const added = (await Promise.all(pushes)).flat().toSorted((a, b) => a - b)
  const at = (share: number) => added[Math.ceil(added.length * share) - 1] ?? 0
  return { done: added.length, wallMs: performance.now() - startedAt, p50: at(0.5), p99: at(0.99) }
})

function whenAllAsked(jobs: number): typeof answerAfter {
  const waiting: (() => void)[] = []
  const answerAll = () => {
    clearTimeout(timer)
    for (const answer of waiting.splice(0)) answer()
  }
  const timer = setTimeout(answerAll, HELD_MS)
  return (answer) => {
    waiting.push(answer)
    if (waiting.length === jobs) answerAll()
  }
}
