import { whenFree } from '../../lib/sqlite.ts'
import type { Deliveries, Handled } from '../deliveries.ts'
import { QueueError } from '../job-queue.ts'
import { openQueueFile } from './queue-file.ts'

/** Pauses topics of the embedded queue; each has one subscription, named as the topic. */
export async function openSqliteDeliveries(path: string): Promise<Deliveries> {
  const db = await openQueueFile(path, 'FULL')
  const pause = db.prepare('INSERT INTO pausedTopics (topic) VALUES (?) ON CONFLICT DO NOTHING')
  const resume = db.prepare('DELETE FROM pausedTopics WHERE topic = ?')

  function handler(statement: typeof pause, changed: Handled['state'], unchanged: Handled['state']) {
    return async (topic: string, subscription = topic): Promise<readonly Handled[]> => {
      if (subscription !== topic) return []
      try {
        const { changes } = await whenFree(() => statement.run(topic))
        return [{ subscription, state: changes === 1 ? changed : unchanged }]
      } catch (cause) {
        throw new QueueError('unavailable', 'The queue file is busy or cannot be written', cause)
      }
    }
  }

  return {
    pause: handler(pause, 'paused', 'was_paused'),
    resume: handler(resume, 'resumed', 'was_delivered'),
    close: async () => db.close(),
  }
}
