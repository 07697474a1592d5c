import type { StoresConfig } from '../shared/config/config.ts'
import { parseJob } from '../shared/job/parse-job.ts'
import type { JobName } from '../shared/job/transitions.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import { type BatchProgress, type ProgressStores, readBatchProgress } from '../shared/stores/batch-progress.ts'

/** queued: its message waits. possible: it may be one of the batch's jobs without a record. absent: there is no trace of it. */
export type Unstarted =
  | { readonly kind: 'queued' }
  | {
      readonly kind: 'possible'
      readonly state: Exclude<BatchProgress['state'], 'complete'>
      /** Jobs without a record. Undefined while the batch is being submitted. */
      readonly jobs: number | undefined
    }
  | { readonly kind: 'absent' }

/** Looks for a job without a record. Pub/Sub has no way to look into a topic, so there the batch is all that is known. */
export async function findUnstarted(
  stores: ProgressStores,
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
    return { kind: messages.some(isIt) ? 'queued' : 'absent' }
  }
  const progress = job.batch === '' ? undefined : await readBatchProgress(stores, job.batch)
  // Records of a complete batch expire, so there a job without one is not one that has not started.
  if (progress === undefined || progress.state === 'complete' || progress.notStarted === 0) return { kind: 'absent' }
  return { kind: 'possible', state: progress.state, jobs: progress.notStarted }
}

/** Says for people which jobs a possible one may be among. */
export function describePossible(
  batch: string,
  { state, jobs }: Pick<Extract<Unstarted, { kind: 'possible' }>, 'state' | 'jobs'>,
): string {
  if (jobs === undefined)
    return `no record: batch "${batch}" is still being submitted, and it may be one of its jobs; Pub/Sub cannot be searched`
  const of = jobs === 1 ? 'the 1 job' : `one of the ${jobs.toLocaleString('en-US')} jobs`
  const have = jobs === 1 ? 'has' : 'have'
  if (state === 'incomplete') return `no record: it may be ${of} of batch "${batch}" whose messages were lost`
  return `no record: it may be ${of} of batch "${batch}" that ${have} not started; Pub/Sub cannot be searched`
}
