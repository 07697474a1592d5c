import { relative } from 'node:path'
import { z } from 'zod'
import { openStores } from '../../shared/stores/open.ts'
import type { DemoBackend } from './backend.ts'

const NO_EMULATORS = { firestore: undefined, pubsub: undefined }
const subscriptions = z.array(z.object({ waiting: z.number(), outstanding: z.number() }))

/** Records and messages in one SQLite file, which the push stand-in delivers from. */
export async function openEmbeddedBackend(file: string): Promise<DemoBackend> {
  const stores = await openStores({ kind: 'sqlite', path: file }, { now: Date.now, emulators: NO_EMULATORS })
  return {
    stores,
    worker: { STORE: `sqlite:${file}` },
    standIns: {},
    storeOption: `sqlite:${relative('.', file)}`,
    connect: async () => undefined,
    // Counts both topics, because a dead letter is finished only when it is recorded.
    async countLeft({ push }, _total, signal) {
      const answer = await fetch(`${push}/__subscriptions`, { signal })
      const counts = subscriptions.parse(await answer.json())
      return counts.reduce((sum, { waiting, outstanding }) => sum + waiting + outstanding, 0)
    },
    [Symbol.asyncDispose]: () => stores.close(),
  }
}
