import { estimateTokens, type Job } from '../../job/job.ts'
import type { Usage } from '../../job/record.ts'
import type { Need } from './pace.ts'

/** What the answers of a model say about estimates. */
export interface Learned {
  /** The real tokens of prompts, as a share of their estimate. */
  readonly promptRatio: number
  /** The tokens of answers to requests without an output cap. */
  readonly uncappedTokens: number
}

export const NOTHING_LEARNED: Learned = { promptRatio: 1, uncappedTokens: 1_000 }

/** How much one answer counts. */
const WEIGHT = 0.05
/** A ratio outside is of requests that no estimate fits, such as images. */
const MIN_RATIO = 0.25
const MAX_RATIO = 4
const MOST_TOKENS = 1_000_000

type Body = Job['body']

/** The tokens that a provider charges for a request on arrival. `outputCap`: the cap that is added to the body. */
export function needOf(body: Body, outputCap: number | undefined, { promptRatio, uncappedTokens }: Learned): Need {
  const { promptTokens, maxCompletionTokens } = estimateTokens(withCap(body, outputCap))
  return { tokens: Math.ceil(promptTokens * promptRatio) + (maxCompletionTokens ?? Math.ceil(uncappedTokens)) }
}

export function learnUse(learned: Learned, body: Body, outputCap: number | undefined, usage: Usage): Learned {
  const { promptTokens, maxCompletionTokens } = estimateTokens(withCap(body, outputCap))
  const ratio = usage.promptTokens / Math.max(1, promptTokens)
  const uncapped = maxCompletionTokens === undefined ? usage.completionTokens : learned.uncappedTokens
  return {
    promptRatio: towards(learned.promptRatio, Math.min(MAX_RATIO, Math.max(MIN_RATIO, ratio))),
    uncappedTokens: towards(learned.uncappedTokens, Math.min(MOST_TOKENS, uncapped)),
  }
}

function withCap(body: Body, outputCap: number | undefined): Body {
  return outputCap === undefined ? body : { ...body, max_completion_tokens: outputCap }
}

function towards(before: number, seen: number): number {
  return before + (seen - before) * WEIGHT
}
