import type { Deployment } from '../config/schema.ts'
import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/** One send of a job to one deployment. */
export interface ModelRequest {
  readonly job: Pick<Job, 'url' | 'body'>
  readonly deployment: Deployment
  /** Set in the body as the cap of each answer, in tokens; absent: the body is sent as it is, but for `model`. */
  readonly outputCap?: number | undefined
  /** The bearer token. */
  readonly token: string
  /** Names this send to Azure's support and in its logs. */
  readonly clientRequestId: string
}

export type ModelReply =
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
  | { readonly ok: false; readonly failure: Failure }

/** A way to ask a model. It sends once, never rejects, and says of every failure whether it can have been billed. */
export interface ModelProvider {
  ask(request: ModelRequest, signal: AbortSignal): Promise<ModelReply>
}
