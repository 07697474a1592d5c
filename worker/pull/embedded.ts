import type { Config } from '../../shared/config/config.ts'
import { joinConsumers } from '../../shared/queues/sqlite/consumers.ts'
import { openSubscription } from '../../shared/queues/sqlite/subscription.ts'
import { type DeadLetterRecording, recordDeadLetter } from '../dead-letters/record.ts'
import type { Receiver } from '../jobs/receive.ts'
import type { Sweep } from '../sweep/sweep.ts'
import { type PumpDependencies, pump } from './pump.ts'
import { keepUp } from './upkeep.ts'

export interface EmbeddedDependencies extends Pick<PumpDependencies, 'bytes' | 'drain' | 'observer' | 'now'> {
  readonly config: Pick<
    Config,
    | 'deliversItself'
    | 'jobsTopic'
    | 'deadLetterTopic'
    | 'eventsTopic'
    | 'ackDeadlineMs'
    | 'maxInFlight'
    | 'maxInFlightBytes'
  >
  readonly receiver: Receiver
  readonly recording: DeadLetterRecording
  readonly sweep: Sweep
}

export interface Embedded {
  /** Resolves when the shutdown began and nothing is under way. */
  readonly ended: Promise<void>
  close(): Promise<void>
}

/**
 * Serves the queue of a SQLite file: delivers its jobs and dead letters to the receiver that pushes use, sweeps, and bounds
 * its events. If pushes are expected, it does the last alone.
 *
 * Several workers may serve one file, because each message is leased by one of them. A worker that starts alone releases the
 * leases of processes that died. Rejects with SQLite's error.
 */
export async function startEmbedded(path: string, dependencies: EmbeddedDependencies): Promise<Embedded> {
  const { config, receiver, recording, sweep, drain, observer, now } = dependencies
  const { jobsTopic, deadLetterTopic, eventsTopic, deliversItself } = config
  await using opened = new AsyncDisposableStack()
  const queue = opened.adopt(await openSubscription(path), (own) => own.close())
  const topics: Pick<PumpDependencies, 'topic' | 'deadLetterTopic' | 'receive'>[] = [
    { topic: jobsTopic, deadLetterTopic, receive: receiver.receive },
    // It has no dead-letter topic, because there is no further topic for these messages.
    { topic: deadLetterTopic, deadLetterTopic: undefined, receive: (read) => recordDeadLetter(recording, read) },
  ]
  const parts = { ...dependencies, ...config, queue }
  if (!deliversItself) return running([keepUp({ ...parts, eventsTopic, sweep: undefined })], opened)
  const release = () => Promise.all(topics.map(({ topic }) => queue.reclaim(topic, now())))
  opened.adopt(await joinConsumers(path, release), (own) => own.close())
  return running(
    [
      ...topics.map((topic) => pump({ ...parts, ...topic })),
      keepUp({ queue, eventsTopic, sweep, drain, observer, now }),
    ],
    opened,
  )
}

function running(works: readonly Promise<void>[], opened: AsyncDisposableStack): Embedded {
  const cleanups = opened.move()
  return {
    ended: Promise.all(works).then(() => undefined),
    close: () => cleanups.disposeAsync(),
  }
}
