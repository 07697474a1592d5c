import { mkdirSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Batch, BatchStore } from '../../shared/store/batch-store.ts'
import { openSqliteBatches } from '../../shared/store/sqlite/sqlite-batches.ts'

export interface DemoState {
  readonly folder: string
  /** The one file that holds everything a stopped demo needs to go on. */
  readonly file: string
  readonly batches: BatchStore
  readonly batch: Exclude<Batch, { status: 'completed' }>
  /** Whether an earlier demo was stopped before its end. */
  readonly goesOn: boolean
}

/** Opens the demo that was stopped, or a new one: a finished demo's state is deleted. `now`: epoch milliseconds. */
export async function openDemoState(path: string, now: number): Promise<DemoState> {
  const folder = resolve(path)
  const file = resolve(folder, 'demo.db')
  mkdirSync(folder, { recursive: true })
  const batches = await openSqliteBatches(file)
  const latest = await batches.latest()
  if (latest !== undefined && latest.status !== 'completed')
    return { folder, file, batches, batch: latest, goesOn: true }
  batches.close()
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  return openNewBatch(folder, file, now)
}

async function openNewBatch(folder: string, file: string, now: number): Promise<DemoState> {
  const batches = await openSqliteBatches(file)
  const name = `demo-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '.')}`
  await batches.open(name, now)
  return { folder, file, batches, batch: { status: 'open', name, createdAt: now }, goesOn: false }
}
