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
 * Asks the model until it answers, refuses, or can have billed something; never twice after that.
 *
 * When the instance begins to end, an ask that waits is given back, and one that was sent has the drain's grace. Rejects
 * only for a fault of our own.
 */
export async function ask(
  { provider, tokens, gates, drain, now }: Asking,
  request: Omit<ModelRequest, 'token'>,
  { endsAt, waitUntil }: AskLimits,
): Promise<ModelReply> {
  const { deployment } = request
  const timeout = AbortSignal.timeout(Math.max(0, endsAt - now()))
  const waiting = AbortSignal.any([drain.begun, timeout])
  const asking = AbortSignal.any([drain.over, timeout])
  let lastFailure: Failure | undefined
  let tokensRefused = 0
  const notSent = (why: Failure): ModelReply => ({
    ok: false,
    failure: drain.begun.aborted ? DRAINING : (lastFailure ?? why),
  })

  async function send(): Promise<ModelReply> {
    const closed = gates.closed(deployment)
    if (closed !== undefined && closed.forMs >= endsAt - now()) return notSent(closed.failure)
    if (closed !== undefined) await delay(closed.forMs, undefined, { signal: waiting })
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

  /** What a reply says of the token it was asked with, and of the deployment's gate. */
  function learn(reply: ModelReply, token: AccessToken): void {
    const failure = reply.ok ? undefined : reply.failure
    switch (failure?.kind) {
      // Nobody knows whether the service itself saw the request.
      case 'unreachable':
      case 'ambiguous':
        return
      case 'unauthorized':
        tokens.refused(token, refusalDetails(failure), waitUntil)
        return
      case 'throttled':
      case 'forbidden':
        tokens.accepted(token, waitUntil)
        gates.close(deployment, failure, waitUntil)
        return
      default:
        tokens.accepted(token, waitUntil)
        gates.letIn(deployment, waitUntil)
    }
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
