import type { Stores } from '../../shared/stores/open.ts'
import type { LocalSystem } from '../local-system.ts'
import { type Call, readCalls } from './call-log.ts'

export const TOPICS = { jobsTopic: 'jobs', deadLetterTopic: 'dead-letter' }

/** The pushes of jobs. Pushes of dead letters are not needed, because the store records their result. */
export async function readJobPushes({ push }: LocalSystem['control']): Promise<Call[]> {
  return (await readCalls(push)).filter(({ operation }) => operation.endsWith(`/${TOPICS.jobsTopic}-worker`))
}

/** Where a demo keeps its records and its messages: in a file, or in Google's emulators. */
export interface DemoBackend extends AsyncDisposable {
  readonly stores: Pick<Stores, 'documents' | 'deadLetters' | 'queue'>
  /** Settings of the worker for the same store and queue. */
  readonly worker: Readonly<Record<string, string>>
  /** Settings of the stand-ins, beside those of every demo. */
  readonly standIns: Readonly<Record<string, unknown>>
  /** Begins to deliver, now that there is a worker. */
  connect(control: LocalSystem['control']): Promise<void>
  /** How many of a batch's messages are not finished. */
  countLeft(control: LocalSystem['control'], total: number, signal: AbortSignal): Promise<number>
  /** The value of `--store` for later commands; undefined if the jobs end with this process. */
  readonly storeOption: string | undefined
}
