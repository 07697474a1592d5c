import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type PubSubPush, startPubSubPush } from '../../../local/pubsub-push/pubsub-push.ts'
import { openSqlite, whenFree } from '../../../shared/lib/sqlite.ts'
import { openQueueReport } from '../../../shared/queues/sqlite/queue-report.ts'
import { openStores } from '../../../shared/stores/open.ts'
import { type Backend, type BackendOptions, TOPICS } from './backend.ts'
import type { SeenEvent } from './evidence.ts'

const PAGE = 500
const NO_EMULATORS = { firestore: undefined, pubsub: undefined }

/** Records and messages in one SQLite file, whose lock another process holds now and then. */
export async function openSqliteBackend({ folder, now }: BackendOptions): Promise<Backend> {
  await using opened = new AsyncDisposableStack()
  const path = join(folder, 'state.db')
  const stores = opened.adopt(await openStores({ kind: 'sqlite', path }, { now, emulators: NO_EMULATORS }), (own) =>
    own.close(),
  )
  const report = opened.adopt(await openQueueReport(path), (own) => own.close())
  const locking = opened.adopt(openSqlite(path, 'NORMAL'), (own) => own.close())
  let push: PubSubPush | undefined
  const environment = { STORE: `sqlite:${path}` }
  const cleanups = opened.move()

  return {
    stores,
    environmentOf: () => environment,
    commandEnvironment: environment,
    most: 60,
    async startPush(parts) {
      push = await startPubSubPush({ ...parts, file: path })
      return push
    },
    async isIdle() {
      const all = (await push?.status()) ?? []
      return all.every(({ waiting, outstanding }) => waiting + outstanding === 0)
    },
    async inflict({ ms }, _worker, signal) {
      await whenFree(() => locking.exec('BEGIN IMMEDIATE'))
      try {
        await delay(ms, undefined, { signal })
      } finally {
        locking.exec('ROLLBACK')
      }
    },
    async events() {
      const seen: SeenEvent[] = []
      for (let after: string | undefined; ; ) {
        const page = await report.list(TOPICS.events, { limit: PAGE, ...(after === undefined ? {} : { after }) })
        seen.push(...page.map(({ data, attributes }) => seenEvent(data, attributes)))
        after = page.at(-1)?.id
        if (page.length < PAGE) return seen
      }
    },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

export function seenEvent(data: Uint8Array, attributes: Readonly<Record<string, string>>): SeenEvent {
  return { id: attributes['ce-id'] ?? '', type: attributes['ce-type'] ?? '', data: Buffer.from(data).toString() }
}
