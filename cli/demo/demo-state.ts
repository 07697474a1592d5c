import { mkdirSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import type { Batch, BatchStore } from '../../shared/stores/batch-store.ts'
import { openSqliteBatches } from '../../shared/stores/sqlite/sqlite-batches.ts'
import { lockFolder } from './lock-folder.ts'

export interface DemoState extends Disposable {
  readonly folder: string
  /** The file with all that a stopped demo needs to continue. */
  readonly file: string
  readonly batches: BatchStore
  readonly batch: Exclude<Batch, { status: 'completed' }>
  /** Whether an earlier demo was stopped before its end. */
  readonly goesOn: boolean
  /** The batch of a finished demo, whose jobs are deleted. */
  readonly replaces: string | undefined
}

/**
 * Opens the demo that was stopped, or a new one. `now`: epoch milliseconds.
 *
 * Deletes the state of a finished demo, and of one that was stopped before its batch was submitted completely, because its
 * remaining documents are unknown. `mayGoOn`: false if its jobs ended with it.
 */
export async function openDemoState(path: string, now: number, mayGoOn = true): Promise<DemoState> {
  const folder = resolve(path)
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER })
  using opened = new DisposableStack()
  opened.use(lockFolder(folder))
  const file = resolve(folder, 'demo.db')
  const latest = await latestBatch(file)
  const goesOn = mayGoOn && latest?.status === 'sealed'
  if (!goesOn) for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  const batches = opened.adopt(await openSqliteBatches(file), (store) => store.close())
  const batch = goesOn ? latest : await openNewBatch(batches, now)
  const cleanups = opened.move()
  const replaces = latest?.status === 'completed' ? latest.name : undefined
  return { folder, file, batches, batch, goesOn, replaces, [Symbol.dispose]: () => cleanups.dispose() }
}

async function latestBatch(file: string): Promise<Batch | undefined> {
  const batches = await openSqliteBatches(file)
  try {
    return (await batches.list(1))[0]
  } finally {
    batches.close()
  }
}

async function openNewBatch(batches: BatchStore, createdAt: number): Promise<DemoState['batch']> {
  const name = `demo-${new Date(createdAt).toISOString().slice(0, 19).replaceAll(':', '.')}`
  await batches.open(name, createdAt)
  return { status: 'open', name, createdAt }
}
