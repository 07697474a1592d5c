import type { Deployment } from '../config/deployments.ts'
import type { WaitUntil } from '../identity/access-token-source.ts'
import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/** One send of a job to one deployment. */
export interface ModelRequest {
  readonly job: Pick<Job, 'url' | 'body'>
  readonly deployment: Deployment
  /** Set in the body as the cap of each answer, in tokens; absent: the body is sent as it is, but for `model`. */
  readonly outputCap?: number | undefined
  /** Names this send to the provider's support and in its logs. */
  readonly clientRequestId: string
}

/** The quota of a deployment, per minute, as the provider reports it. Each is absent if the provider does not know it. */
export interface RateLimit {
  readonly limitRequests?: number
  readonly limitTokens?: number
  readonly remainingRequests?: number
  readonly remainingTokens?: number
}

/** What pacing needs to know of a reply. */
interface Served {
  readonly rateLimit?: RateLimit | undefined
  /** The tier that served the request, in the provider's own word. */
  readonly serviceTier?: string | undefined
}

export type ModelReply = Served &
  (
    | {
        readonly ok: true
        /** The answer's JSON text, as it came. */
        readonly text: string
        /** Undefined if the answer has none. */
        readonly usage: Usage | undefined
        /** `unknown` if the answer has none. */
        readonly finishReason: string
        readonly httpStatus: number
        readonly requestId: string | undefined
      }
    | {
        readonly ok: false
        readonly failure: Failure
        /** The provider has dropped the credential that was refused: with the next one, the same request may be accepted. */
        readonly isCredentialReplaced?: boolean
      }
  )

/** Sends a request once. Never rejects, and classifies each failure by whether it can have been billed. */
export type Send = (request: ModelRequest, signal: AbortSignal) => Promise<ModelReply>

interface ReadyOptions {
  /** The caller is not held beyond this, in epoch milliseconds. */
  readonly until: number
  /** Takes background work, such as the renewal of a credential. */
  readonly waitUntil: WaitUntil
}

/** Asks models. A provider owns its credential: no request carries one. */
export interface ModelProvider {
  /**
   * Resolves when a request to this deployment can be sent, with what sends it; it is to be used at once.
   *
   * Rejects with NotReadyError where no credential comes in time, or with the signal's reason.
   */
  ready(deployment: Deployment, signal: AbortSignal, options: ReadyOptions): Promise<Send>
}

/** Nothing can be sent now. `failure` says why, as the job's log and its deferral report it. */
export class NotReadyError extends Error {
  override readonly name = 'NotReadyError'
  readonly failure: Failure

  constructor(failure: Failure, cause?: unknown) {
    super(failure.message, { cause })
    this.failure = failure
  }
}
