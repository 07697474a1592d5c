import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/** What a whole answer says of itself; its text goes to the record as it came. */
export type Reading =
  | { readonly ok: true; readonly usage: Usage | undefined; readonly finishReason: string }
  /** It came with 200 and says that the model failed. */
  | { readonly ok: false; readonly failure: Failure }

/** One of the requests a job may ask for. */
export interface Endpoint {
  /** Whether a dated API version names the deployment in the address; the body names it everywhere. */
  readonly isUnderDeployment: boolean
  /** Undefined where the answer is not of the shape that this request has. */
  read(answer: unknown): Reading | undefined
  /** How many bytes the answer to such a body may have, before it is asked for: an estimate, rather too high. */
  answerBytes(body: Job['body']): number
  /** What the model said in plain text; undefined where it said nothing in words. */
  textOf(answer: unknown): string | undefined
}
