import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { missingForEmulators, startEmulator } from '../../cli/emulators.ts'
import { type Database, openDatabase } from '../../shared/store/firestore/database.ts'
import { createFirestoreBatches } from '../../shared/store/firestore/firestore-batches.ts'
import { createFirestoreDocuments } from '../../shared/store/firestore/firestore-documents.ts'
import { createFirestoreTelemetry } from '../../shared/store/firestore/firestore-telemetry.ts'
import type { Value } from '../../shared/store/firestore/protocol.ts'
import { toFields } from '../../shared/store/firestore/values.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'
import { batchStoreContract } from './batch-store-contract.ts'
import { jobStoreContract } from './job-store-contract.ts'
import { isStoreError } from './job-store-support.ts'
import { telemetryStoreContract } from './telemetry-store-contract.ts'

const DISCARD_PORT = '127.0.0.1:9'

const missing = missingForEmulators()
if (missing !== undefined) {
  test(`Firestore: not checked here, ${missing}`, { skip: true })
} else {
  const emulator = await startEmulator('firestore')
  after(() => emulator.close())

  jobStoreContract('Firestore', async () => {
    /** Each test has a project, and so a database, of its own. */
    const project = `p-${randomUUID()}`
    const opened: Database[] = []
    const open = () => {
      const database = openDatabase({ project, emulator: emulator.address })
      opened.push(database)
      return createFirestoreDocuments(database)
    }
    return {
      documents: open(),
      another: async () => open(),
      pass: (ms) => delay(ms),
      async close() {
        await Promise.all(opened.splice(0).map((each) => each.close()))
      },
    }
  })

  batchStoreContract('Firestore', async () => {
    const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
    return { batches: createFirestoreBatches(database), close: () => database.close() }
  })

  telemetryStoreContract('Firestore', async () => {
    const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
    return {
      telemetry: createFirestoreTelemetry(database),
      async plant(foreign) {
        const fields = { ...toFields(withoutNulls(foreign)), ...nullsOf(foreign) }
        await database.batchWrite([{ update: { name: `${database.root}/tokenFailures/${foreign.id}`, fields } }])
      },
      close: () => database.close(),
    }
  })
}

/** A value of a kind that we never write. */
function nullsOf(document: object): Record<string, Value> {
  const nulls = Object.entries(document).filter(([, value]) => value === null)
  return Object.fromEntries(nulls.map(([name]) => [name, { nullValue: 'NULL_VALUE' as const }]))
}

function withoutNulls(document: object): Parameters<typeof toFields>[0] {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null))
}

test('Firestore: telemetry of a server that nobody reaches is an error', async (t) => {
  const database = openDatabase({ project: 'nowhere', emulator: DISCARD_PORT })
  t.after(() => database.close())
  const telemetry = createFirestoreTelemetry(database)
  const [write, list] = await Promise.allSettled([
    telemetry.putTokenFailure(aTokenFailure()),
    telemetry.tokenFailures(0, 1),
  ])
  assert.ok(write.status === 'rejected' && isStoreError('unavailable')(write.reason))
  assert.ok(list.status === 'rejected' && isStoreError('unavailable')(list.reason))
})
