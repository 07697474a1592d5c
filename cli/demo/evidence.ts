import { openQueueReport } from '../../shared/queue/sqlite/queue-report.ts'
import type { JobReader } from '../../shared/store/job-store.ts'
import type { LocalSystem } from '../local-system.ts'
import type { Evidence } from './account.ts'
import { readCalls } from './call-log.ts'

export interface EvidenceOf {
  readonly control: LocalSystem['control']
  readonly reader: JobReader
  readonly file: string
  readonly deadLetterTopic: string
  readonly batch: string
  readonly total: number
}

/** Gathers what the stand-ins' call logs, the queue and the store tell of a batch; the worker is not asked. */
export async function gatherEvidence({
  control,
  reader,
  file,
  deadLetterTopic,
  batch,
  total,
}: EvidenceOf): Promise<Evidence> {
  const pushes = await readCalls(control.push)
  const asks = await readCalls(control.azure)
  const exchanges = (await readCalls(control.entra)).filter(({ operation }) => operation === 'token')
  const records = await reader.list(batch)
  return { total, records, pushes, asks, exchanges, deadLetterKeys: await deadLetterKeys(file, deadLetterTopic) }
}

const PAGE = 1_000

/** The records that the dead-letter topic's messages name. */
async function deadLetterKeys(file: string, topic: string): Promise<Set<string>> {
  const report = await openQueueReport(file)
  const keys = new Set<string>()
  let after = '0'
  for (;;) {
    const page = await report.list(topic, { limit: PAGE, after })
    for (const { attributes } of page) keys.add(attributes['pb-key'] ?? '')
    const last = page.at(-1)
    if (last === undefined) break
    after = last.id
  }
  report.close()
  return keys
}
