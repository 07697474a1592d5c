import type { Stores } from '../../shared/open-stores.ts'
import type { LocalSystem } from '../local-system.ts'

export const TOPICS = { jobsTopic: 'jobs', deadLetterTopic: 'dead-letter' }

/** Where a demo keeps its records and its messages: in a file, or in Google's emulators. */
export interface DemoBackend extends AsyncDisposable {
  readonly stores: Pick<Stores, 'documents' | 'queue'>
  /** Settings of the worker that lead it to the same place. */
  readonly worker: Readonly<Record<string, string>>
  /** Settings of the stand-ins, beside those of every demo. */
  readonly standIns: Readonly<Record<string, unknown>>
  /** Begins to deliver, now that there is a worker. */
  connect(control: LocalSystem['control']): Promise<void>
  /** How many of a batch's messages are not done with. */
  countLeft(control: LocalSystem['control'], total: number, signal: AbortSignal): Promise<number>
  /** The records that the dead-letter topic's messages name; `expected` of them, or as many as come in a few seconds. */
  deadLetterKeys(expected: number): Promise<ReadonlySet<string>>
  /** For the commands to find the jobs again; undefined where they are gone with this process. */
  readonly storeOption: string | undefined
}
