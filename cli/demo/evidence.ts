import { recordOf } from '../../shared/stores/job-reader.ts'
import type { JobReader } from '../../shared/stores/job-store.ts'
import type { LocalSystem } from '../local-system.ts'
import type { Evidence } from './account.ts'
import { readJobPushes } from './backend.ts'
import { readCalls } from './call-log.ts'

export interface EvidenceOf {
  readonly control: LocalSystem['control']
  readonly reader: JobReader
  readonly deadLetterKeys: ReadonlySet<string>
  readonly batch: string
  readonly total: number
}

/** Reads the stand-ins' call logs and the store. Nothing comes from the worker. */
export async function gatherEvidence({ control, reader, batch, total, ...found }: EvidenceOf): Promise<Evidence> {
  const pushes = await readJobPushes(control)
  const asks = await readCalls(control.azure)
  const exchanges = (await readCalls(control.entra)).filter(({ operation }) => operation === 'token')
  const records = await Array.fromAsync(reader.list(batch), recordOf)
  return { ...found, total, records, pushes, asks, exchanges }
}
