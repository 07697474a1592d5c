import type { Deployment } from '../config/deployments.ts'
import type { WaitUntil } from '../identity/access-token-source.ts'
import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/** One send of a job to one deployment. */
export interface ModelRequest {
  readonly job: Pick<Job, 'url' | 'body'>
  readonly deployment: Deployment
  /** The cap of each answer in tokens, which is set in the body. Absent: only `model` is changed in the body. */
  readonly outputCap?: number | undefined
  /** The id of this send in the provider's logs, and for the provider's support. */
  readonly clientRequestId: string
}

/** The quota of a deployment, per minute, as the provider reports it. Each is absent if the provider does not know it. */
export interface RateLimit {
  readonly limitRequests?: number
  readonly limitTokens?: number
  readonly remainingRequests?: number
  readonly remainingTokens?: number
  /** Seconds until all of the limit remains again. */
  readonly resetRequests?: number
  readonly resetTokens?: number
}

/** The parts of a reply that pacing uses. */
interface Served {
  readonly rateLimit?: RateLimit | undefined
  /** The tier that served the request, as the provider names it. */
  readonly serviceTier?: string | undefined
  /** The deployment that answered in place of the one that was asked, as the provider names it. Of a failure: `failure` has it. */
  readonly spilledTo?: string | undefined
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
        /** The model that answered, as the answer names it. */
        readonly model?: string
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
  /** The caller does not wait beyond this, in epoch milliseconds. */
  readonly until: number
  /** Takes background work, such as the renewal of a credential. */
  readonly waitUntil: WaitUntil
}

/** Asks models. A provider owns its credential: no request carries one. */
export interface ModelProvider {
  /**
   * Resolves with a send function when a request to this deployment can be sent. The caller must use it at once.
   *
   * Rejects with NotReadyError if there is no credential in time, or with the signal's reason.
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
