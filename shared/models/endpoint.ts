import { z } from 'zod'
import type { Failure } from '../job/failures.ts'
import type { Job } from '../job/job.ts'
import type { Usage } from '../job/record.ts'

/**
 * The metadata of a complete answer. The record stores the answer's text unchanged.
 *
 * An answer is billed even if it lacks its usage or its finish reason, so it is kept in any case.
 */
export type Reading =
  /** `usage`: undefined if the answer has none or only a part. `finishReason`: NO_REASON if the answer has none. */
  | { readonly ok: true; readonly usage: Usage | undefined; readonly finishReason: string }
  /** The answer has status 200 and reports that the model failed. */
  | { readonly ok: false; readonly failure: Failure }

/** The finish reason of an answer that has none. */
export const NO_REASON = 'unknown'

/** One of the requests a job may ask for. */
export interface Endpoint {
  /** Whether a dated API version names the deployment in the address; the body names it everywhere. */
  readonly isUnderDeployment: boolean
  /** The field that caps an answer on this API version or on the v1 API. Undefined if the answer has no output tokens. */
  capField(apiVersion: string | undefined): string | undefined
  /** Undefined if it contains no answer to this request. */
  read(answer: unknown): Reading | undefined
  /** Estimates the bytes of the answer to a body before it is sent. The estimate is rather too high. */
  answerBytes(body: Job['body']): number
  /** The answer in plain text. Undefined if the answer has no text. */
  textOf(answer: unknown): string | undefined
}

/** Reads a field of this form. A field of another form, such as null or another type, counts as absent. */
export const lenient = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined)

/** A number of tokens. */
export const tokens = lenient(z.number().int().min(0))

/** The part of a usage that says which input tokens the provider had cached, or cached then. */
export const inputDetails = lenient(z.object({ cached_tokens: tokens, cache_write_tokens: tokens }))

/** An incomplete usage counts as absent, because a limit would be charged too little. */
export function wholeUsage(
  promptTokens: number | undefined,
  completionTokens: number | undefined,
  details: z.infer<typeof inputDetails> = {},
): Usage | undefined {
  if (promptTokens === undefined || completionTokens === undefined) return undefined
  const { cached_tokens: cachedTokens = 0, cache_write_tokens: cacheWriteTokens = 0 } = details
  return {
    promptTokens,
    completionTokens,
    ...(cachedTokens > 0 && { cachedTokens }),
    ...(cacheWriteTokens > 0 && { cacheWriteTokens }),
  }
}
