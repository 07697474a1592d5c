import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import { type Failure, mayAskAgain } from '../../shared/job/failures.ts'
import type { Job } from '../../shared/job/job.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import type { Circuits } from '../../shared/models/circuits.ts'
import { type ModelProvider, type ModelReply, type ModelRequest, NotReadyError } from '../../shared/models/provider.ts'
import type { Drain } from '../delivery/drain.ts'
import type { MissingEpisodes } from '../limits/missing-episodes.ts'

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

interface JobRequest extends ModelRequest {
  readonly job: Pick<Job, 'key' | 'url' | 'body'>
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
 * Sends a request until the model answers, refuses it, or may have billed it. After that it sends nothing more.
 *
 * When the instance begins to drain, a waiting request is not sent, and a sent one has the drain's grace period. Rejects only
 * with an internal error.
 */
export async function ask(
  { provider, circuits, missing, drain, now }: AskDependencies,
  request: JobRequest,
  { leftMs, modelTimeoutMs, waitUntil, cancelled }: AskLimits,
): Promise<ModelReply> {
  const { deployment } = request
  const waiting = AbortSignal.any([drain.begun, cancelled])
  const asking = AbortSignal.any([drain.over, cancelled])
  let lastFailure: Failure | undefined
  let refusals = 0
  const notSent = (why: Failure): ModelReply => ({
    ok: false,
    failure: drain.begun.aborted ? DRAINING : (lastFailure ?? why),
  })

  async function send(): Promise<ModelReply> {
    const waitMs = circuits.waitMs(deployment)
    if (waitMs > 0 && waitMs >= leftMs()) return notSent(circuitOpen(waitMs))
    if (waitMs > 0) await delay(waitMs, undefined, { signal: waiting })
    const sendNow = await provider.ready(deployment, waiting, { until: now() + leftMs(), waitUntil })
    // In the same tick as the send: the process may have been frozen, and its lease may be over.
    if (leftMs() <= 0) return notSent(OUT_OF_TIME)
    const reply = await withTimeout(modelTimeoutMs, asking, (signal) => sendNow(request, signal))
    if (reply.ok) {
      circuits.learn(deployment, undefined, waitUntil)
      missing.answered(deployment, waitUntil)
      return reply
    }
    const judged = circuits.judge(deployment, reply.failure, request.job.key)
    const failure = judged.kind === 'no_deployment' ? await missing.measure(deployment, judged) : judged
    // A failure caused by the job itself is no evidence about the deployment.
    const isOwnFault = failure.kind !== reply.failure.kind
    lastFailure = failure
    if (!isOwnFault && learn(failure, reply.isCredentialReplaced)) throw new NotBilled(failure)
    return { ok: false, failure }
  }

  /** Records what a failure says about the deployment. Returns whether the request may be sent again. */
  function learn(failure: Failure, isCredentialReplaced = false): boolean {
    if (isCredentialReplaced) {
      refusals += 1
      return refusals === 1
    }
    // A request that this process aborted is no evidence about the deployment.
    const isBrokenOff = cancelled.aborted && (failure.kind === 'ambiguous' || failure.kind === 'unreachable')
    if (!isBrokenOff) circuits.learn(deployment, failure, waitUntil)
    return failure.kind !== 'unauthorized' && mayAskAgain(failure.kind)
  }

  const came: { reply?: ModelReply } = {}
  const sendAndKeep = async () => {
    came.reply = await send()
  }
  try {
    await pRetry(sendAndKeep, { ...RETRIES, signal: waiting, shouldRetry: ({ error }) => error instanceof NotBilled })
  } catch (error) {
    if (error instanceof NotReadyError) return { ok: false, failure: drain.begun.aborted ? DRAINING : error.failure }
    if (!(error instanceof NotBilled) && !waiting.aborted) throw error
  }
  // p-retry drops a reply that arrives after its signal aborted, although it may have been billed.
  return came.reply ?? notSent(OUT_OF_TIME)
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
