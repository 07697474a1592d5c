import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PubSubPush, startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { queueContract } from './queue-contract.ts'

const MIN_BACKOFF_MS = 25
/** Making one takes long enough to share it. */
const key = await createSigningKey()

queueContract('SQLite and the push stand-in', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'queue-'))
  const file = join(folder, 'state.db')
  const queue = await openSqliteQueue(file, Date.now)
  let push: PubSubPush | undefined
  return {
    queue,
    minBackoffMs: MIN_BACKOFF_MS,
    async subscribe(...specs) {
      const policies = {
        retry: { minBackoffMs: MIN_BACKOFF_MS, maxBackoffMs: 1_000 },
        flow: { minBackoffMs: 1, maxBackoffMs: 1 },
      }
      const named = specs.map((spec) => ({ ...spec, ...policies, name: `projects/test/subscriptions/${spec.topic}` }))
      push = await startPubSubPush({ file, subscriptions: named, pollMs: 2, key })
    },
    async close() {
      await push?.close()
      await queue.close()
      await rm(folder, { recursive: true })
    },
  }
})
