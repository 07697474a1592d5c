import type { StoresConfig } from '../shared/config/config.ts'
import { parseJob } from '../shared/job/parse-job.ts'
import type { JobName } from '../shared/job/transitions.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import { readBatchProgress } from '../shared/stores/batch-progress.ts'
import type { StoreReaders } from '../shared/stores/open.ts'

/** queued: its message waits. possible: its batch has jobs that have not started. absent: there is no trace of it. */
export type Unstarted = 'queued' | 'possible' | 'absent'

/** Looks for a job without a record. Pub/Sub has no way to look into a topic, so there the batch is all that is known. */
export async function findUnstarted(
  stores: Pick<StoreReaders, 'batches' | 'documents'>,
  { store, jobsTopic }: Pick<StoresConfig, 'store' | 'jobsTopic'>,
  job: JobName,
): Promise<Unstarted> {
  if (store.kind === 'sqlite') {
    const { findMessages } = await import('../shared/queues/sqlite/find-message.ts')
    const messages = await findMessages(store.path, jobsTopic, Buffer.from(JSON.stringify(job.id).slice(1, -1)))
    const isIt = ({ data, attributes }: (typeof messages)[number]) => {
      const parsed = parseJob(data, attributes, sha256)
      return parsed.ok && parsed.job.key === job.key
    }
    return messages.some(isIt) ? 'queued' : 'absent'
  }
  const progress = job.batch === '' ? undefined : await readBatchProgress(stores, job.batch)
  return progress === undefined || progress.notStarted === 0 ? 'absent' : 'possible'
}
