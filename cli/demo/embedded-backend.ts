import { relative } from 'node:path'
import { z } from 'zod'
import { openStores } from '../../shared/open-stores.ts'
import { openQueueReport } from '../../shared/queue/sqlite/queue-report.ts'
import { type DemoBackend, TOPICS } from './backend.ts'

const NO_EMULATORS = { firestore: undefined, pubsub: undefined }
const PAGE = 1_000
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
    async countLeft({ push }, _total, signal) {
      const answer = await fetch(`${push}/__subscriptions`, { signal })
      const counts = subscriptions.parse(await answer.json())
      return counts.reduce((sum, { waiting, outstanding }) => sum + waiting + outstanding, 0)
    },
    deadLetterKeys: () => deadLetterKeys(file),
    [Symbol.asyncDispose]: () => stores.close(),
  }
}

async function deadLetterKeys(file: string): Promise<Set<string>> {
  const report = await openQueueReport(file)
  const keys = new Set<string>()
  let after = '0'
  for (;;) {
    const page = await report.list(TOPICS.deadLetterTopic, { limit: PAGE, after })
    for (const { attributes } of page) keys.add(attributes['pb-key'] ?? '')
    const last = page.at(-1)
    if (last === undefined) break
    after = last.id
  }
  report.close()
  return keys
}
