import { choicesOf, outputTokenCap } from './output-cap.ts'
import type { Usage } from './record.ts'

/** The requests a job may ask for, named as the OpenAI Batch format names them. */
export const jobUrls = ['/v1/chat/completions', '/v1/responses', '/v1/embeddings'] as const
export type JobUrl = (typeof jobUrls)[number]

/** One prompt to run, as every part of the system sees it. */
export interface Job {
  /** The name of the record. It is derived from batch and id, see jobKey. */
  readonly key: string
  readonly id: string
  readonly batch: string
  /** 1 for the first publish. Each replay increments it. */
  readonly run: number
  readonly url: JobUrl
  readonly model: string | undefined
  /**
   * Is sent to the model unchanged, except for `model`. A number that JavaScript would change is raw JSON. numberOf reads
   * both kinds.
   */
  readonly body: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, string>>
  /** Epoch milliseconds; the job is not started after it. */
  readonly deadline: number | undefined
  /** Hex SHA-256 of the message's data. It distinguishes a redelivery from another job with the same id. */
  readonly payloadHash: string
}

export type Sha256 = (data: Uint8Array | string) => Uint8Array

const RECORD_KEY_BYTES = 16

/**
 * Names a job's record: base64url of 16 bytes of SHA-256 over batch, NUL and id.
 *
 * With a hash, no id is reserved or too long for the store, and similar ids are spread over the key space.
 */
export function jobKey(batch: string, id: string, sha256: Sha256): string {
  const bytes = sha256(`${batch}\0${id}`).subarray(0, RECORD_KEY_BYTES)
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** A token is about four characters of English text; other scripts take more tokens. */
const CHARACTERS_PER_TOKEN = 4
/** What an embedded image or file counts as, because its tokens do not depend on the length of its text. */
const EMBEDDED_CHARACTERS = 4_000

/** The tokens that a request will use. */
interface EstimatedTokens {
  readonly promptTokens: number
  /** The most tokens of its answers. Undefined if the request has no output cap. */
  readonly maxCompletionTokens: number | undefined
}

/** Estimates the tokens of a request before it is sent: a quarter of its characters, and its output cap for each choice. */
export function estimateTokens(body: Job['body']): EstimatedTokens {
  const cap = outputTokenCap(body)
  return {
    promptTokens: Math.ceil(countCharacters(body) / CHARACTERS_PER_TOKEN),
    maxCompletionTokens: cap === undefined ? undefined : cap * choicesOf(body),
  }
}

/**
 * Estimates the tokens of an answer without usage: a quarter of the prompt's characters, plus the job's output cap for each
 * choice, or a quarter of the answer's characters if the job has no cap.
 */
export function estimateUsage(body: Job['body'], answerCharacters: number): Usage {
  const { promptTokens, maxCompletionTokens } = estimateTokens(body)
  return { promptTokens, completionTokens: maxCompletionTokens ?? Math.ceil(answerCharacters / CHARACTERS_PER_TOKEN) }
}

function countCharacters(value: unknown): number {
  if (typeof value === 'string') return value.startsWith('data:') ? EMBEDDED_CHARACTERS : value.length
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce((sum: number, inner) => sum + countCharacters(inner), 0)
}
