import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { answerParent } from '../harness/answer-parent.ts'
import { median } from '../harness/statistics.ts'
import { moveClock } from './move-clock.ts'
import { type CrowdAnswer, type HeapAnswer, question, type RecoverAnswer, type WarmAnswer } from './questions.ts'
import { type GetToken, ways } from './ways.ts'

const BATCH = 100
const MIN_BATCHES = 5
const WARM_MS = 500
const SLOW_MS = 500
const ASK_AGAIN_MS = 100
const COLLECTIONS = 10
const RENEWAL_TIMEOUT_MS = 10_000
const RECOVERY_TIMEOUT_MS = 180_000

let get = openWay()
let held = ''

answerParent(question, async (asked) => {
  switch (asked.kind) {
    case 'crowd':
      moveClock(asked.aheadMs)
      if (asked.isCold) get = openWay()
      return await crowd(asked.jobs)
    case 'warm':
      return await warm()
    case 'recover':
      moveClock(0)
      return await recover(asked.instances)
    case 'heap':
      return await heap()
  }
})

/** The way that the first argument names, as a new instance has it. */
function openWay(): GetToken {
  const [, , name = ''] = process.argv
  const open = ways[name]
  if (open === undefined) throw new Error(`there is no way ${name}`)
  return open()
}

/** So many jobs want a token at once. Ends when they have it, and the next one where it was due. */
async function crowd(jobs: number): Promise<CrowdAnswer> {
  const before = held
  const answers = await Promise.allSettled(Array.from({ length: jobs }, timedGet))
  const served = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  const refused = answers.find((answer) => answer.status === 'rejected')
  if (refused !== undefined) process.stderr.write(`${refused.reason}\n`)
  held = served.at(-1)?.token ?? before
  await untilRenewed(before)
  const took = served.map(({ tookMs }) => tookMs)
  return {
    served: served.length,
    waited: took.filter((ms) => ms >= SLOW_MS).length,
    longestMs: took.reduce((longest, ms) => Math.max(longest, ms), 0),
  }
}

async function timedGet(): Promise<{ token: string; tookMs: number }> {
  const startedAt = performance.now()
  const token = await get()
  return { token, tookMs: performance.now() - startedAt }
}

/** A renewal behind the jobs' back is over when another token is given out. */
async function untilRenewed(before: string): Promise<void> {
  const startedAt = performance.now()
  while (held === before) {
    if (performance.now() - startedAt > RENEWAL_TIMEOUT_MS) throw new Error('no other token came')
    await delay(1)
    held = await get()
  }
}

/** Gets one after the other, timed by the hundred: the clock costs as much as a get. */
async function warm(): Promise<WarmAnswer> {
  const batches: number[] = []
  const startedAt = performance.now()
  while (batches.length < MIN_BATCHES || performance.now() - startedAt < WARM_MS) {
    const batchAt = performance.now()
    for (let n = 0; n < BATCH; n += 1) await get()
    batches.push(((performance.now() - batchAt) * 1_000) / BATCH)
  }
  return { gets: batches.length * BATCH, medianUs: median(batches) }
}

/** New instances, of which each asks, and asks again after a refusal, until it has a token. */
async function recover(instances: number): Promise<RecoverAnswer> {
  return { servedAt: await Promise.all(Array.from({ length: instances }, () => firstToken(openWay()))) }
}

async function firstToken(ask: GetToken): Promise<number> {
  const startedAt = Date.now()
  for (;;) {
    try {
      await ask()
      return Date.now()
    } catch (error) {
      if (Date.now() - startedAt > RECOVERY_TIMEOUT_MS) throw error
      await delay(ASK_AGAIN_MS)
    }
  }
}

// Code that start-up needed and nothing else would be thrown away some minutes later, and hide as much growth.
setFlagsFromString('--no-flush-bytecode')
setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** What is left when all that can go has gone: one collection frees what the next can take, code above all. */
async function heap(): Promise<HeapAnswer> {
  for (let n = 0; n < COLLECTIONS; n += 1) {
    collectGarbage()
    await turn()
  }
  const codeBytes = getHeapSpaceStatistics()
    .filter(({ space_name }) => /^(code|trusted)_/.test(space_name))
    .reduce((sum, { space_used_size }) => sum + space_used_size, 0)
  return { heapBytes: process.memoryUsage().heapUsed, codeBytes }
}
