import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { type Failure, mayAskAgain, mayAskElsewhere } from '../../shared/job/failures.ts'
import type { Job } from '../../shared/job/job.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import type { Circuits } from '../../shared/models/circuits.ts'
import { type ModelProvider, type ModelReply, type ModelRequest, NotReadyError } from '../../shared/models/provider.ts'
import type { Drain } from '../delivery/drain.ts'
import type { MissingEpisodes } from '../limits/missing-episodes.ts'
import { type Candidate, deploymentsMet, type Seat } from './candidates.ts'

export interface AskDependencies {
  readonly provider: ModelProvider
  readonly circuits: Circuits
  readonly missing: MissingEpisodes
  readonly drain: Drain
  readonly now: Clock
}

export interface AskLimits {
  /** Milliseconds in which a send may still begin. The lease outlives a send that begins at the last moment. */
  readonly leftMs: () => number
  /** How long one send may take, in milliseconds. A send is never given less. */
  readonly modelTimeoutMs: number
  readonly waitUntil: WaitUntil
  /** Aborts when the job is cancelled. */
  readonly cancelled: AbortSignal
}

interface JobRequest {
  readonly job: Pick<Job, 'key' | 'url' | 'body'>
  /** The deployment that the job was admitted to. */
  readonly seat: Seat
  readonly clientRequestId: ModelRequest['clientRequestId']
}

interface Asked {
  readonly reply: ModelReply
  /** The one that the reply is from. */
  readonly deployment: Deployment
}

/** A failure after which nothing can have been billed, so that the same attempt may send again. */
class NotBilled extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

const DRAINING: Failure = { kind: 'draining', message: 'this instance is about to end; nothing was sent' }
const OUT_OF_TIME: Failure = { kind: 'busy', message: 'the time for this attempt ran out before anything was sent' }

const RETRIES = { retries: 20, factor: 2, minTimeout: 200, maxTimeout: 5_000, randomize: true } as const

/**
 * Sends a request until a model answers, refuses it, or may have billed it. After that it sends nothing more.
 *
 * If nothing can have been billed, another open deployment is asked at once, and the same one later. When the instance begins
 * to drain, a waiting request is not sent, and a sent one has the drain's grace period. Rejects only with an internal error.
 */
export async function ask(
  { provider, circuits, missing, drain, now }: AskDependencies,
  { job, seat, clientRequestId }: JobRequest,
  { leftMs, modelTimeoutMs, waitUntil, cancelled }: AskLimits,
): Promise<Asked> {
  const waiting = AbortSignal.any([drain.begun, cancelled])
  const asking = AbortSignal.any([drain.over, cancelled])
  /** The last failure of each deployment that was asked. */
  const failures = new Map<Deployment, Failure>()
  let refusals = 0

  const failed = (failure: Failure, deployment = seat.candidate().deployment): Asked => ({
    reply: { ok: false, failure },
    deployment,
  })

  /** Says why no request was answered: what may pass soonest, else what the first deployment answered. */
  function unanswered(why: Failure): Asked {
    const [first] = failures
    const [of, failure] = [...failures].findLast(([, each]) => mayPass(each)) ?? first ?? []
    return failed(failure ?? why, of)
  }
  const notSent = (why: Failure) => (drain.begun.aborted ? failed(DRAINING) : unanswered(why))

  /** Waits until the circuit of the present deployment is closed, or moves to another one. Returns why neither is possible. */
  async function standOpen(): Promise<Failure | undefined> {
    for (;;) {
      const { deployment } = seat.candidate()
      const waitMs = circuits.waitMs(deployment)
      if (waitMs === 0) return undefined
      const { hasMoved, refused } = seat.move((each) => each.deployment !== deployment)
      if (hasMoved) return undefined
      const others = refused.flatMap(({ waitFor }) => (typeof waitFor === 'number' ? [waitFor] : []))
      const forMs = Math.min(waitMs, ...others)
      if (forMs >= leftMs()) return circuitOpen(forMs)
      await delay(forMs, undefined, { signal: waiting })
    }
  }

  /** Asks the present deployment once. Returns undefined if the request may be sent again. */
  async function send(): Promise<Asked | undefined> {
    const { deployment, outputCap } = seat.candidate()
    const sendNow = await provider.ready(deployment, waiting, { until: now() + leftMs(), waitUntil })
    // In the same tick as the send: the process may have been frozen, and its lease may be over.
    if (leftMs() <= 0) return notSent(OUT_OF_TIME)
    const request = { job, deployment, outputCap, clientRequestId }
    const reply = await withTimeout(modelTimeoutMs, asking, (signal) => sendNow(request, signal))
    if (reply.ok) {
      circuits.learn(deployment, undefined, waitUntil)
      missing.answered(deployment, waitUntil)
      return { reply, deployment }
    }
    const judged = circuits.judge(deployment, reply.failure, job.key)
    const failure = judged.kind === 'no_deployment' ? await missing.measure(deployment, judged) : judged
    failures.set(deployment, failure)
    if (reply.isCredentialReplaced) {
      refusals += 1
      if (refusals === 1) throw new NotBilled(failure)
    }
    // A failure caused by the job itself is no evidence about the deployment.
    const isOwnFault = failure.kind !== reply.failure.kind
    // A request that this process aborted is no evidence about the deployment.
    const isBrokenOff = cancelled.aborted && (failure.kind === 'ambiguous' || failure.kind === 'unreachable')
    if (!isOwnFault && !isBrokenOff && !reply.isCredentialReplaced) {
      for (const met of deploymentsMet(seat.candidates, deployment, failure)) circuits.learn(met, failure, waitUntil)
    }
    // The provider has asked another deployment by itself, so this attempt asks none in addition.
    const mayGoOn = mayAskElsewhere(failure.kind) && failure.spilledTo === undefined
    return mayGoOn ? undefined : failed(failure, deployment)
  }

  /** Asks each deployment that is open, once. Rejects with NotBilled if one of them may be asked again. */
  async function askEach(): Promise<Asked> {
    const why = await standOpen()
    if (why !== undefined) return notSent(why)
    const asked = new Set<Candidate>()
    do {
      waiting.throwIfAborted()
      asked.add(seat.candidate())
      const result = await send()
      if (result !== undefined) return result
    } while (seat.move((each) => !asked.has(each)).hasMoved)
    for (const failure of failures.values()) if (mayPass(failure)) throw new NotBilled(failure)
    return unanswered(OUT_OF_TIME)
  }

  let result: Asked | undefined
  const askAndKeep = async () => {
    result = await askEach()
  }
  try {
    await pRetry(askAndKeep, { ...RETRIES, signal: waiting, shouldRetry: ({ error }) => error instanceof NotBilled })
  } catch (error) {
    if (error instanceof NotReadyError) return failed(drain.begun.aborted ? DRAINING : error.failure)
    if (!(error instanceof NotBilled) && !waiting.aborted) throw error
  }
  // p-retry drops a reply that arrives after its signal aborted, although it may have been billed.
  return result ?? notSent(OUT_OF_TIME)
}

/** Whether the same deployment may be asked again. A token that is refused twice is not sent again. */
function mayPass({ kind }: Failure): boolean {
  return kind !== 'unauthorized' && mayAskAgain(kind)
}

/**
 * Aborts a send at our own time limit, and names that limit as what ended it. The timer ends with the send.
 *
 * The send has a signal of its own: listeners that it leaves behind on it are collected with it. A composite signal is kept
 * in memory as long as it has listeners.
 */
async function withTimeout(
  timeoutMs: number,
  signal: AbortSignal,
  send: (signal: AbortSignal) => Promise<ModelReply>,
): Promise<ModelReply> {
  const own = new AbortController()
  const follow = () => own.abort(signal.reason)
  signal.addEventListener('abort', follow)
  if (signal.aborted) follow()
  const timer = setTimeout(() => own.abort(), timeoutMs)
  try {
    const reply = await send(own.signal)
    const isTimeout = !reply.ok && reply.failure.kind === 'ambiguous' && own.signal.aborted && !signal.aborted
    return isTimeout ? { ok: false, failure: timedOut(reply.failure, timeoutMs) } : reply
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', follow)
  }
}

function circuitOpen(retryAfterMs: number): Failure {
  const message = 'the circuit of the deployment is open for longer than this job can wait'
  return { kind: 'throttled', message, retryAfterMs }
}

function timedOut(failure: Failure, timeoutMs: number): Failure {
  const seconds = timeoutMs / 1_000
  return {
    ...failure,
    kind: 'timeout',
    message: `no whole answer came within the ${seconds} s of MODEL_TIMEOUT_SECONDS`,
    hint: `The model took longer than ${seconds} s. Raise MODEL_TIMEOUT_SECONDS, or ask for a shorter answer; then replay the job.`,
  }
}
