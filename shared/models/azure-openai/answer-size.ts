import { numberOf } from '../../job/exact-numbers.ts'
import type { Job } from '../../job/job.ts'
import { outputTokenCap } from '../../job/output-cap.ts'

/**
 * The longest answer that is read, in bytes. An instance of 512 MiB was measured to bring one to its store; 2,048
 * embeddings of 3,072 numbers are shorter.
 */
export const MAX_ANSWER_BYTES = 128 * 1024 * 1024

/** Most tokens are of four or five bytes; escapes and other scripts make more. */
const TOKEN_BYTES = 8
/** A token with its logprob and its bytes as numbers. */
const LOGPROB_BYTES = 150
/** Of an answer that names no cap. */
const USUAL_TOKENS = 4_096

/**
 * Estimates the size of a text answer, in bytes. `perToken`: how many logprobs it has for each token; 0 if the job does not
 * ask for them.
 *
 * Counts only what a job sets: its cap, choices and logprobs. Answers of other jobs are short, and thousands may be in
 * memory together: a hundred of 128,000 tokens, which no model exceeds, need as much memory as a single large answer.
 */
export function bytesOfWords(body: Job['body'], choices: number, perToken: number): number {
  const cap = outputTokenCap(body)
  if (cap === undefined && choices === 1 && perToken === 0) return 0
  return choices * (cap ?? USUAL_TOKENS) * (TOKEN_BYTES + perToken * LOGPROB_BYTES)
}

/** A field that must be a number. Azure refuses other values. */
export function numberIn(field: unknown, otherwise: number): number {
  const number = numberOf(field)
  return number !== undefined && number > 0 ? number : otherwise
}
