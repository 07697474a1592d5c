import { z } from 'zod'
import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/**
 * What a whole answer says of itself; its text goes to the record as it came.
 *
 * An answer is paid for whether or not it reports its usage and why it ended, so neither decides whether it is kept.
 */
export type Reading =
  /** `usage`: undefined if the answer has none or only a part. `finishReason`: NO_REASON if the answer has none. */
  | { readonly ok: true; readonly usage: Usage | undefined; readonly finishReason: string }
  /** It came with 200 and says that the model failed. */
  | { readonly ok: false; readonly failure: Failure }

/** The finish reason of an answer that has none. */
export const NO_REASON = 'unknown'

/** One of the requests a job may ask for. */
export interface Endpoint {
  /** Whether a dated API version names the deployment in the address; the body names it everywhere. */
  readonly isUnderDeployment: boolean
  /** The field that caps an answer on this API version, or on the v1 API; undefined where an answer has no such tokens. */
  capField(apiVersion: string | undefined): string | undefined
  /** Undefined where there is no answer to this request in it. */
  read(answer: unknown): Reading | undefined
  /** How many bytes the answer to such a body may have, before it is asked for: an estimate, rather too high. */
  answerBytes(body: Job['body']): number
  /** What the model said in plain text; undefined where it said nothing in words. */
  textOf(answer: unknown): string | undefined
}

/** A field that is read where it has this form, and taken for absent where it has another: null, or another type. */
export const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined)

/** A number of tokens. */
export const tokens = lenient(z.number().int().min(0))

/** Half a usage is none: a limit would be charged too little. */
export function wholeUsage(promptTokens: number | undefined, completionTokens: number | undefined): Usage | undefined {
  if (promptTokens === undefined || completionTokens === undefined) return undefined
  return { promptTokens, completionTokens }
}
