import type { JobRecord, Usage } from './record.ts'

/** What a model costs for some time, in US dollars for a million tokens. */
export interface Price {
  readonly model: string
  /** Applies from this time on, in epoch milliseconds. */
  readonly from: number
  /** Applies before this time, in epoch milliseconds; Infinity if its end is not known. */
  readonly until: number
  readonly input: number
  /** Of input tokens that the provider had cached; the price of input if absent. */
  readonly cached?: number | undefined
  /** Of input tokens that the provider then caches; the price of input if absent. */
  readonly cacheWrite?: number | undefined
  readonly output: number
  /** Factors for a request with more input tokens than `above`. */
  readonly longContext?: { readonly above: number; readonly input: number; readonly output: number } | undefined
  /** Where the price is published. */
  readonly source: string
  /** The day on which the source had this price: `2026-11-27`. */
  readonly asOf: string
}

/** The prices of each model, by its name in lower case. Their times do not overlap. */
export type Prices = ReadonlyMap<string, readonly Price[]>

/** An estimate: what the tokens cost by list prices. */
export interface Cost {
  readonly usd: number
  /** The day on which the prices were published like this. Of several, the oldest. */
  readonly asOf: string
}

interface Spent {
  readonly model: string | undefined
  /** When the model answered, or will answer, in epoch milliseconds. */
  readonly at: number
  readonly usage: Usage
  /** How many requests the usage is the sum of; 1 if absent. They count as equally long. */
  readonly requests?: number
}

const MILLION = 1_000_000

/** What tokens cost. Undefined if no price is known for the model at that time. */
export function estimateCost(prices: Prices, { model, at, usage, requests = 1 }: Spent): Cost | undefined {
  const price = model === undefined ? undefined : findPrice(prices, model, at)
  if (price === undefined) return undefined
  const { promptTokens, completionTokens, cachedTokens = 0, cacheWriteTokens = 0 } = usage
  const { input, cached = input, cacheWrite = input, output, longContext, asOf } = price
  const isLong = longContext !== undefined && promptTokens / Math.max(1, requests) > longContext.above
  const factor = isLong ? longContext : { input: 1, output: 1 }
  const plain = Math.max(0, promptTokens - cachedTokens - cacheWriteTokens)
  const read = plain * input + cachedTokens * cached + cacheWriteTokens * cacheWrite
  return { usd: (read * factor.input + completionTokens * output * factor.output) / MILLION, asOf }
}

/** A model's version at Azure, as answers name it: `gpt-4o-mini-2024-07-18`. */
const VERSION = /-\d{4}-\d{2}-\d{2}$/

/** A version may have its own price; otherwise it has the price of its model. */
function findPrice(prices: Prices, model: string, at: number): Price | undefined {
  const name = model.toLowerCase()
  const known = prices.get(name) ?? prices.get(name.replace(VERSION, ''))
  return known?.find(({ from, until }) => from <= at && at < until)
}

/**
 * What the attempts of a job cost whose usage is known. Undefined if a price is missing, or if no attempt has a usage.
 *
 * A deployment may have any name. So the price is that of the model which the answer names, else of the model that the job
 * asked for, else of the name of the deployment.
 */
export function costOfRecord(prices: Prices, { model: asked, attempts }: JobRecord): Cost | undefined {
  const costs = attempts.flatMap(({ usage, model, deployment, startedAt: at }) => {
    if (usage === undefined) return []
    const known = [model, asked, deployment].map((name) => estimateCost(prices, { model: name, at, usage }))
    return [known.find((cost) => cost !== undefined)]
  })
  return sumCosts(costs)
}

/** The sum of some costs. Undefined if one of them is not known, or if there is none. */
export function sumCosts(costs: readonly (Cost | undefined)[]): Cost | undefined {
  const known = costs.filter((cost) => cost !== undefined)
  const [first, ...others] = known
  if (first === undefined || known.length < costs.length) return undefined
  return others.reduce((sum, { usd, asOf }) => ({ usd: sum.usd + usd, asOf: asOf < sum.asOf ? asOf : sum.asOf }), first)
}

const cents = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })
const digits = new Intl.NumberFormat('en-US', {
  style: 'currency',
  currency: 'USD',
  minimumSignificantDigits: 2,
  maximumSignificantDigits: 2,
})

/** `$1,234.50`, or with two significant digits below ten cents: `$0.0012`. */
export function formatUsd(usd: number): string {
  return (usd === 0 || usd >= 0.1 ? cents : digits).format(usd)
}

/** A cost in words: `about $1.23 (prices of 2026-11-27)`. */
export function describeCost({ usd, asOf }: Cost): string {
  return `about ${formatUsd(usd)} (prices of ${asOf})`
}
