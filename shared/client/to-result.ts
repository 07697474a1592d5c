import { costOfRecord, type Prices } from '../job/price.ts'
import { isSettled, type JobRecord } from '../job/record.ts'
import { defined } from '../lib/defined.ts'
import { textOf } from '../models/job-answer.ts'
import { createJobReader } from '../stores/job-reader.ts'
import type { StoreReaders } from '../stores/open.ts'
import type { JobResult } from './types.ts'

/** Reads results as the client gives them. Rejects with StoreError. */
export interface Results {
  read(key: string): Promise<JobResult | undefined>
  list(batch: string): AsyncIterable<JobResult>
}

export function createResults(documents: StoreReaders['documents'], prices: Prices): Results {
  const reader = createJobReader(documents)

  async function toResult(record: JobRecord): Promise<JobResult> {
    const { key, id, batch, metadata } = record
    const named = { key, id, batch, metadata, ...defined({ cost: costOfRecord(prices, record) }) }
    if (!isSettled(record)) return { ...named, status: record.status }
    if (record.status !== 'succeeded') return { ...named, status: record.status, error: record.error }
    const answer: unknown = JSON.parse((await reader.readResult(record)) ?? 'null')
    const { status, url, usage, usageKnown = true, finishReason, linkedFrom } = record
    const optional = defined({ text: textOf(url, answer), linkedFrom })
    return { ...named, status, answer, ...optional, usage, usageKnown, finishReason }
  }

  return {
    async read(key) {
      const record = await reader.read(key)
      return record && toResult(record)
    },
    async *list(batch) {
      for await (const listed of reader.list(batch)) {
        yield 'record' in listed ? toResult(listed.record) : unreadable(listed.unreadable, batch)
      }
    },
  }
}

function unreadable(key: string, batch: string): JobResult {
  const error = { kind: 'unreadable', message: 'this version cannot read the record of the job' }
  return { key, id: '', batch, metadata: {}, status: 'unreadable', error }
}
