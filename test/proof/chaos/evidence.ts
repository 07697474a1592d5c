import type { Call } from '../../../local/call-log.ts'
import type { JobRecord } from '../../../shared/job/record.ts'
import type { Batch } from '../../../shared/stores/batch-store.ts'
import type { DeadLetter } from '../../../shared/stores/dead-letter-store.ts'
import type { SideName } from './faults.ts'

/** A message that was published to the jobs topic. */
export interface Sent {
  /** Hex SHA-256 of its data. */
  readonly sha256: string
  /** Of the job's record; absent for what is no job. */
  readonly key?: string
  /** The deployment beside the main one that it asks, where it may wait for long. */
  readonly side?: SideName
  /** Epoch milliseconds. */
  readonly at: number
}

/** A CloudEvent as the events topic brought it. */
export interface SeenEvent {
  readonly id: string
  readonly type: string
  /** JSON text. */
  readonly data: string
}

/** How a worker process ended that was not killed. */
export interface WorkerEnd {
  readonly worker: number
  readonly wasAsked: boolean
  readonly code: number | null
  readonly tookMs: number
}

/** What is left when all has come to rest: of the store, the topics and the stand-ins' call logs. Nothing the worker says. */
export interface Evidence {
  readonly sent: readonly Sent[]
  readonly records: readonly JobRecord[]
  /** The answers of succeeded records as JSON text, by key. */
  readonly results: ReadonlyMap<string, string>
  readonly letters: readonly DeadLetter[]
  readonly batches: readonly Batch[]
  /** In the order in which they came, however often. */
  readonly events: readonly SeenEvent[]
  /** Pushes of the jobs topic. */
  readonly pushes: readonly Call[]
  /** Pushes of the dead-letter topic: of what a worker gave up, and of what was delivered too often. */
  readonly letterPushes: readonly Call[]
  /** Requests for an answer. */
  readonly asks: readonly Call[]
  readonly ends: readonly WorkerEnd[]
}
