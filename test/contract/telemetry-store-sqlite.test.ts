import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openSqliteTelemetry } from '../../shared/stores/sqlite/sqlite-telemetry.ts'
import { DAY_MS, START } from '../support/job-builders.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'
import { telemetryStoreContract } from './telemetry-store-contract.ts'

async function newFile() {
  const folder = await mkdtemp(join(tmpdir(), 'telemetry-'))
  return { path: join(folder, 'telemetry.db'), remove: () => rm(folder, { recursive: true, force: true }) }
}

function plantIn(path: string, id: string, at: number, document: string): void {
  const db = new DatabaseSync(path)
  db.prepare('INSERT INTO tokenFailures VALUES (?, ?, ?, ?)').run(id, at, START + DAY_MS, document)
  db.close()
}

telemetryStoreContract('SQLite', async () => {
  const { path, remove } = await newFile()
  const telemetry = await openSqliteTelemetry(path)
  return {
    telemetry,
    plant: async (foreign) => plantIn(path, foreign.id, foreign.lastAt, JSON.stringify(foreign)),
    async close() {
      telemetry.close()
      await remove()
    },
  }
})

test('SQLite: a row whose text is no JSON is counted, and hides no other', async (t) => {
  const { path, remove } = await newFile()
  t.after(remove)
  const telemetry = await openSqliteTelemetry(path)
  t.after(() => telemetry.close())
  await telemetry.putTokenFailure(aTokenFailure())
  plantIn(path, 'torn', START + 100_000, '{"id": "to')
  assert.deepEqual(await telemetry.tokenFailures(0, 9), { found: [aTokenFailure()], unreadable: 1 })
})
