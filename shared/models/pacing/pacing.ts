import type { Deployment } from '../../config/deployments.ts'
import type { Failure } from '../../job/failures.ts'
import type { Job } from '../../job/job.ts'
import type { Clock } from '../../lib/clock.ts'
import type { ModelReply } from '../provider.ts'
import { type Learned, learnUse, NOTHING_LEARNED, needOf } from './estimate.ts'
import { describePace, firstPace, onReply, release, take } from './governor.ts'
import type { Need, Pace, PaceReply, PaceReport, Settling } from './pace.ts'
import { neededBefore, pickNext, type Waiting } from './queue.ts'

/** Paces the requests of this instance, for each deployment. It has no timer of its own. */
export interface Pacing {
  /** A place in the queues of deployments, for one job. */
  join(body: Job['body']): Place
  /** Takes one more request of a job that has been admitted, before all that wait. */
  again(deployment: Deployment, body: Job['body'], outputCap: number | undefined): Allowed | Throttled
  report(deployment: Deployment): PaceReport
}

interface Place {
  /** Takes a request if it is the turn of the job; else the job waits in the queue of the deployment from now on. */
  enter(deployment: Deployment, outputCap: number | undefined): PaceEntry
  /** Leaves the queue of a deployment that cannot be asked now for another reason. */
  pass(deployment: Deployment): void
  /** Leaves all queues. */
  leave(): void
}

export type PaceEntry =
  | Allowed
  | (Throttled & { /** Resolves when its turn may have come sooner. */ readonly sooner: Promise<void> })

interface Allowed {
  readonly isAllowed: true
  readonly permit: Permit
}

interface Throttled {
  readonly isAllowed: false
  readonly failure: Failure
  /** Milliseconds until its turn, as far as it is known. */
  readonly waitFor: number
}

/** A request that was taken. One of its functions is called, once; later calls have no effect. */
export interface Permit {
  /** `tookMs`: since the request was sent. */
  replied(reply: ModelReply, tookMs: number): void
  /** The request was not sent. */
  release(): void
}

export interface PacingOptions {
  /** How many instances share the quotas at most. */
  readonly maxInstances?: number | undefined
  readonly now: Clock
  /** 0 to 1. */
  readonly random: () => number
  /** The length of the provider's minute; benchmarks shorten it. */
  readonly minuteMs?: number | undefined
}

const MINUTE_MS = 60_000
/** A job that is not the next is woken when it is. Until then it looks for its turn no more often than this. */
const MIN_POLL_MS = 1_000

/** How each provider charges the tokens of a request. */
const SETTLING: Readonly<Record<Deployment['provider'], Settling>> = { 'azure-openai': 'on-arrival' }

/** The pace of one deployment, and the jobs that wait for it. */
interface Line {
  pace: Pace
  learned: Learned
  readonly waiting: Set<Waiting>
}

export function createPacing({ maxInstances, random, ...time }: PacingOptions): Pacing {
  const scale = MINUTE_MS / (time.minuteMs ?? MINUTE_MS)
  /** By the provider's minute. */
  const now = () => Math.floor(time.now() * scale)
  const lines = new Map<string, Line>()

  function lineOf({ name, provider, rpm, tpm }: Deployment): Line {
    const found = lines.get(name)
    if (found !== undefined) return found
    const pace = firstPace({ rpm, tpm, maxInstances, settling: SETTLING[provider] }, now())
    const line = { pace, learned: NOTHING_LEARNED, waiting: new Set<Waiting>() }
    lines.set(name, line)
    return line
  }

  /** Takes a request now, or returns for how many milliseconds to wait. */
  function tryTake(line: Line, need: Need): number {
    const [pace, turn] = take(line.pace, need, now(), random())
    line.pace = pace
    return turn.kind === 'go' ? 0 : Math.ceil(turn.forMs / scale)
  }

  function permitOf(line: Line, need: Need, body: Job['body'], outputCap: number | undefined): Permit {
    let isOpen = true
    const close = (change: () => void) => {
      if (!isOpen) return
      isOpen = false
      change()
      pickNext(line.waiting)?.wake()
    }
    return {
      replied: (reply, tookMs) =>
        close(() => {
          const said = read(reply, scale)
          line.pace =
            said === undefined
              ? release(line.pace, need, now())
              : onReply(line.pace, { need, sentAt: now() - Math.floor(tookMs * scale), ...said }, now(), random())
          if (reply.ok && reply.usage !== undefined) line.learned = learnUse(line.learned, body, outputCap, reply.usage)
        }),
      release: () =>
        close(() => {
          line.pace = release(line.pace, need, now())
        }),
    }
  }

  /** How long the jobs before one take, at the rate of now. */
  function queueMs(line: Line, job: Waiting): number {
    const { rate, pausedForMs } = describePace(line.pace, now())
    const { requests, tokens } = neededBefore(line.waiting, job)
    return Math.ceil((pausedForMs + MINUTE_MS * Math.max(requests / rate.rpm, tokens / rate.tpm)) / scale)
  }

  return {
    join(body) {
      const entered = new Map<Line, Waiting>()
      const leaveLine = (line: Line, waiting: Waiting) => {
        const wasNext = pickNext(line.waiting) === waiting
        entered.delete(line)
        line.waiting.delete(waiting)
        if (wasNext) pickNext(line.waiting)?.wake()
      }
      const leave = () => {
        for (const [line, waiting] of entered) leaveLine(line, waiting)
      }
      return {
        leave,
        pass(deployment) {
          const line = lineOf(deployment)
          const waiting = entered.get(line)
          if (waiting !== undefined) leaveLine(line, waiting)
        },
        enter(deployment, outputCap) {
          const line = lineOf(deployment)
          const need = needOf(body, outputCap, line.learned)
          const { promise: sooner, resolve: wake } = Promise.withResolvers<void>()
          const waiting = Object.assign(entered.get(line) ?? { need, wake }, { need, wake })
          entered.set(line, waiting)
          line.waiting.add(waiting)
          const isNext = pickNext(line.waiting) === waiting
          const waitFor = isNext ? tryTake(line, need) : Math.max(MIN_POLL_MS, queueMs(line, waiting))
          if (waitFor > 0) return { isAllowed: false, failure: throttled(line.pace, waitFor), waitFor, sooner }
          leave()
          return { isAllowed: true, permit: permitOf(line, need, body, outputCap) }
        },
      }
    },
    again(deployment, body, outputCap) {
      const line = lineOf(deployment)
      const need = needOf(body, outputCap, line.learned)
      const waitFor = tryTake(line, need)
      if (waitFor > 0) return { isAllowed: false, failure: throttled(line.pace, waitFor), waitFor }
      return { isAllowed: true, permit: permitOf(line, need, body, outputCap) }
    },
    report: (deployment) => describePace(lineOf(deployment).pace, now()),
  }
}

function throttled({ refusedBy, pausedUntil, at }: Pace, retryAfterMs: number): Failure {
  const limit = refusedBy !== undefined && pausedUntil > at ? { limit: refusedBy } : {}
  const message = 'the quota of the deployment has no room for this job yet'
  return { kind: 'throttled', message, retryAfterMs, ...limit }
}

type Said = Pick<PaceReply, 'rateLimit' | 'refusal' | 'usedTokens' | 'isFault'>

/** What a reply says about the pace; undefined if the request did not reach the quota. */
function read(reply: ModelReply, scale: number): Said | undefined {
  const { rateLimit } = reply
  if (reply.ok)
    return { rateLimit, ...(reply.usage && { usedTokens: reply.usage.promptTokens + reply.usage.completionTokens }) }
  const { kind, limit = 'quota', retryAfterMs } = reply.failure
  switch (kind) {
    case 'throttled':
      return {
        rateLimit,
        refusal: { limit, retryAfterMs: retryAfterMs === undefined ? undefined : retryAfterMs * scale },
      }
    case 'timeout':
    case 'unavailable':
      return { rateLimit, isFault: true }
    case 'unreachable':
    case 'unauthorized':
    case 'forbidden':
    case 'no_deployment':
      return undefined
    default:
      return { rateLimit }
  }
}
