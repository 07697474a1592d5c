import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import type { ModelProvider, ModelReply, ModelRequest } from '../shared/azure-openai/model-provider.ts'
import type { AccessTokenSource, WaitUntil } from '../shared/identity/access-token-source.ts'
import type { AccessToken } from '../shared/identity/renewal.ts'
import { TokenError } from '../shared/identity/token-error.ts'
import { type Failure, mayAskAgain } from '../shared/job/failures.ts'
import type { Drain } from './drain.ts'
import type { DeploymentGates } from './model/deployment-gates.ts'
import { refusalDetails, tokenFailure } from './token-failure.ts'

export interface Asking {
  readonly provider: ModelProvider
  readonly tokens: AccessTokenSource
  readonly gates: DeploymentGates
  readonly drain: Drain
  /** Epoch milliseconds. */
  readonly now: () => number
}

export interface AskLimits {
  /** When the ask's budget ends, in epoch milliseconds; the lease outlives it. */
  readonly endsAt: number
  readonly waitUntil: WaitUntil
  /** Aborts when nobody wants the answer any more. */
  readonly cancelled: AbortSignal
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
const HELD_BACK: Failure = {
  kind: 'throttled',
  message: 'the deployment is held back for longer than this job can wait',
}
const OUT_OF_TIME: Failure = { kind: 'busy', message: 'the time for this attempt ran out before anything was sent' }

const RETRIES = { retries: 20, factor: 2, minTimeout: 200, maxTimeout: 5_000, randomize: true } as const

/**
 * Asks the model until it answers, refuses, or can have billed something; never twice after that.
 *
 * When the instance begins to end, an ask that waits is given back, and one that was sent has the drain's grace. Rejects
 * only for a fault of our own.
 */
export async function ask(
  { provider, tokens, gates, drain, now }: Asking,
  request: Omit<ModelRequest, 'token'>,
  { endsAt, waitUntil, cancelled }: AskLimits,
): Promise<ModelReply> {
  const { deployment } = request
  const timeout = AbortSignal.timeout(Math.max(0, endsAt - now()))
  const waiting = AbortSignal.any([drain.begun, timeout, cancelled])
  const asking = AbortSignal.any([drain.over, timeout, cancelled])
  let lastFailure: Failure | undefined
  let tokensRefused = 0
  const notSent = (why: Failure): ModelReply => ({
    ok: false,
    failure: drain.begun.aborted ? DRAINING : (lastFailure ?? why),
  })

  async function send(): Promise<ModelReply> {
    const waitMs = gates.waitMs(deployment)
    if (waitMs > 0 && waitMs >= endsAt - now()) return notSent(HELD_BACK)
    if (waitMs > 0) await delay(waitMs, undefined, { signal: waiting })
    const token = await tokens.get(waiting, { until: endsAt, waitUntil })
    // In the same tick as the send: a process that was frozen since must not ask under a lease that is over.
    if (now() >= endsAt) return notSent(OUT_OF_TIME)
    const reply = await provider.ask({ ...request, token: token.value }, asking)
    learn(reply, token)
    if (reply.ok) return reply
    lastFailure = reply.failure
    if (reply.failure.kind === 'unauthorized') tokensRefused += 1
    if (!mayAskAgain(reply.failure.kind) || tokensRefused > 1) return reply
    throw new NotBilled(reply.failure)
  }

  /** What a reply says of the token it was asked with, and of the deployment. */
  function learn(reply: ModelReply, token: AccessToken): void {
    const failure = reply.ok ? undefined : reply.failure
    if (failure?.kind === 'unauthorized') tokens.refused(token, refusalDetails(failure), waitUntil)
    // Of the others nobody knows whether the service itself saw the request.
    else if (failure?.kind !== 'unreachable' && failure?.kind !== 'ambiguous') tokens.accepted(token, waitUntil)
    // What we broke off ourselves says nothing of the deployment.
    if (!(cancelled.aborted && failure?.kind === 'ambiguous')) gates.learn(deployment, failure, waitUntil)
  }

  const came: { reply?: ModelReply } = {}
  const sendAndKeep = async () => {
    came.reply = await send()
  }
  try {
    await pRetry(sendAndKeep, { ...RETRIES, signal: waiting, shouldRetry: ({ error }) => error instanceof NotBilled })
  } catch (error) {
    if (error instanceof TokenError) return { ok: false, failure: drain.begun.aborted ? DRAINING : tokenFailure(error) }
    if (!(error instanceof NotBilled) && !waiting.aborted) throw error
  }
  // Kept by ourselves: p-retry drops what came when its signal aborted meanwhile, and that may have been billed.
  return came.reply ?? notSent(OUT_OF_TIME)
}
