import { type Cost, costOfRecord, type Prices, sumCosts } from '../job/price.ts'
import type { JobRecord } from '../job/record.ts'
import type { BatchProgress } from './batch-progress.ts'
import type { RecordDocuments } from './record-documents.ts'

/** What a batch has cost so far, as an estimate. */
export interface BatchCost extends Cost {
  /** It is estimated from so many jobs, and the tokens of all. Absent if every job was counted. */
  readonly fromJobs?: number
}

/** Enough to know which models a batch uses, and few enough to read at once. */
const MAX_JOBS = 200

/**
 * What the tokens of a batch cost. A store sums the tokens of a batch, but not by model: of a large batch, some records are
 * read, and their cost is scaled by the tokens. Undefined if a price is missing or nothing was used. Rejects with StoreError.
 */
export async function readBatchCost(
  documents: Pick<RecordDocuments, 'list'>,
  { name, tokens }: Pick<BatchProgress, 'name' | 'tokens'>,
  prices: Prices,
): Promise<BatchCost | undefined> {
  const sum = createCostSum(prices)
  let usedTokens = 0
  for await (const listed of documents.list(name)) {
    if (!('record' in listed) || !sum.add(listed.record)) continue
    const { record } = listed
    if (record.status === 'succeeded') usedTokens += record.usage.promptTokens + record.usage.completionTokens
    if (sum.jobs() < MAX_JOBS) continue
    const cost = sum.cost()
    const factor = (tokens.promptTokens + tokens.completionTokens) / usedTokens
    return cost && Number.isFinite(factor) ? { ...cost, usd: cost.usd * factor, fromJobs: MAX_JOBS } : undefined
  }
  return sum.cost()
}

/** Adds up what records cost. A record whose price is not known makes the sum unknown. */
export function createCostSum(prices: Prices) {
  let sum: Cost | undefined
  let isKnown = true
  let jobs = 0
  return {
    /** Whether the record has used tokens. */
    add(record: JobRecord): boolean {
      if (!record.attempts.some(({ usage }) => usage !== undefined)) return false
      const cost = costOfRecord(prices, record)
      isKnown &&= cost !== undefined
      sum = sumCosts(sum === undefined ? [cost] : [sum, cost])
      jobs += 1
      return true
    },
    jobs: () => jobs,
    cost: () => (isKnown ? sum : undefined),
  }
}
