import { z } from 'zod'
import type { Price, Prices } from './price.ts'
import table from './prices.json' with { type: 'json' }

const usd = z.number().min(0).max(1_000_000)
const factor = z.number().min(1).max(100)
const day = z.iso.date('must be a day such as 2026-11-27')
/** The first moment of a day in UTC, in epoch milliseconds. */
const startOf = (date: string) => Date.parse(date)

/** An entry as a file has it. It applies from the start of the day `from` until the start of the day `until`, in UTC. */
const entry = z
  .strictObject({
    model: z.string().trim().min(1).max(200),
    from: day,
    until: day.optional(),
    input: usd,
    cached: usd.optional(),
    cacheWrite: usd.optional(),
    output: usd,
    longContext: z.strictObject({ above: z.number().int().min(1), input: factor, output: factor }).optional(),
    source: z.string().trim().min(1).max(1_000),
    asOf: day,
  })
  .refine(({ from, until }) => until === undefined || from < until, { path: ['until'], error: 'must be after from' })
  .transform(
    ({ from, until, ...rest }): Price => ({
      ...rest,
      from: startOf(from),
      until: until === undefined ? Infinity : startOf(until),
    }),
  )

const priceTable = z.strictObject({ prices: z.array(entry).min(1).max(10_000) })

export type ParsedPrices =
  | { readonly ok: true; readonly prices: Prices }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Reads a table of prices. Says everything that is wrong with it, a line for each problem. */
export function parsePrices(value: unknown): ParsedPrices {
  const parsed = priceTable.safeParse(value)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`)
    return { ok: false, problems }
  }
  const prices = byModel(parsed.data.prices)
  const problems = [...prices.values()].flatMap(overlaps)
  return problems.length > 0 ? { ok: false, problems } : { ok: true, prices }
}

function byModel(entries: readonly Price[]): Prices {
  return Map.groupBy(
    entries.toSorted((a, b) => a.from - b.from),
    ({ model }) => model.toLowerCase(),
  )
}

function overlaps(ofModel: readonly Price[]): string[] {
  return ofModel.flatMap(({ model, from }, at) => {
    const before = ofModel[at - 1]
    if (before === undefined || before.until <= from) return []
    return [`${model}: the price from ${dayOf(before.from)} has not ended on ${dayOf(from)}, when the next one begins`]
  })
}

/** The day of a time, in UTC. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

/** The table of this version, or with all prices of the models that `own` names replaced. */
export function withOwnPrices(own: Prices = new Map()): Prices {
  const parsed = parsePrices(table)
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return new Map([...parsed.prices, ...own])
}
