import { z } from 'zod'
import type { Job } from '../../shared/job/job.ts'
import { type Cost, estimateCost, formatUsd, type Prices, sumCosts } from '../../shared/job/price.ts'
import { number } from '../batches/describe-progress.ts'
import type { CheckedLines } from './check-lines.ts'
import type { ModelUse } from './model-use.ts'

/** What the jobs will use. */
export interface Estimate {
  readonly promptTokens: number
  readonly maxCompletionTokens: number
  /** Jobs without an output cap, whose answers are not in the estimate. */
  readonly uncapped: number
  /** At most, for the tokens above. Undefined if a price is not known. */
  readonly cost: Cost | undefined
}

export function estimate({ models }: Pick<CheckedLines, 'models'>, prices: Prices, now: number): Estimate {
  const uses = [...models]
  const sum = (field: 'promptTokens' | 'maxCompletionTokens' | 'uncapped') =>
    uses.reduce((total, [, use]) => total + use[field], 0)
  const costs = uses.map(([model, use]) => costOf(model, use, prices, now))
  return {
    promptTokens: sum('promptTokens'),
    maxCompletionTokens: sum('maxCompletionTokens'),
    uncapped: sum('uncapped'),
    cost: costs.some((cost) => cost === undefined) ? undefined : sumCosts(costs),
  }
}

function costOf(model: string, use: ModelUse, prices: Prices, at: number): Cost | undefined {
  const usage = { promptTokens: use.promptTokens, completionTokens: use.maxCompletionTokens }
  return estimateCost(prices, { model, at, usage, requests: use.jobs })
}

/** One or two lines: the tokens and, if it is known, the price. Empty if nothing is asked. */
export function describeEstimate({ promptTokens, maxCompletionTokens, uncapped, cost }: Estimate): string {
  if (promptTokens + maxCompletionTokens + uncapped === 0) return ''
  const output = maxCompletionTokens === 0 ? [] : [`at most ${number(maxCompletionTokens)} output tokens`]
  const open = uncapped === 0 ? [] : [`${number(uncapped)} jobs have no output cap`]
  const tokens = [`about ${number(promptTokens)} input tokens`, ...output, ...open].join(', ')
  if (cost === undefined) return `${tokens}\n`
  return `${tokens}\n${uncapped === 0 ? 'cost at most' : 'cost without the answers of these jobs'} ${formatUsd(cost.usd)} (prices of ${cost.asOf})\n`
}

/** The messages of a request. Only the caller's own terminal gets them. */
export function describeExample({ messages, response_format }: Job['body']): string {
  const known = z.array(z.object({ role: z.string(), content: z.string() })).parse(messages)
  const texts = known.map(({ role, content }) => `--- ${role} ---\n${content}\n`)
  const format =
    response_format === undefined ? [] : [`--- schema ---\n${JSON.stringify(response_format, undefined, 2)}\n`]
  return [...texts, ...format].join('')
}

export function linesAre(n: number): string {
  return n === 1 ? '1 line is no job' : `${number(n)} lines are no jobs`
}

export function documentsAre(n: number): string {
  return n === 1 ? '1 document gives no job' : `${number(n)} documents give no jobs`
}
