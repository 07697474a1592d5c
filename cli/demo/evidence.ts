import type { JobReader } from '../../shared/store/job-store.ts'
import type { LocalSystem } from '../local-system.ts'
import type { Evidence } from './account.ts'
import type { DemoBackend } from './backend.ts'
import { readCalls } from './call-log.ts'

export interface EvidenceOf {
  readonly control: LocalSystem['control']
  readonly reader: JobReader
  readonly backend: DemoBackend
  readonly batch: string
  readonly total: number
}

/** Gathers what the stand-ins' call logs, the queue and the store tell of a batch; the worker is not asked. */
export async function gatherEvidence({ control, reader, backend, batch, total }: EvidenceOf): Promise<Evidence> {
  const pushes = await readCalls(control.push)
  const asks = await readCalls(control.azure)
  const exchanges = (await readCalls(control.entra)).filter(({ operation }) => operation === 'token')
  const records = await reader.list(batch)
  const failed = records.filter(({ status }) => status === 'dead_lettered').length
  return { total, records, pushes, asks, exchanges, deadLetterKeys: await backend.deadLetterKeys(failed) }
}
