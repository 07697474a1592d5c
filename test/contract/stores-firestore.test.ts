import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { missingForEmulators, startEmulator } from '../../cli/emulators.ts'
import { type Database, openDatabase } from '../../shared/store/firestore/database.ts'
import { createFirestoreBatches } from '../../shared/store/firestore/firestore-batches.ts'
import { createFirestoreDocuments } from '../../shared/store/firestore/firestore-documents.ts'
import { batchStoreContract } from './batch-store-contract.ts'
import { jobStoreContract } from './job-store-contract.ts'

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
}
