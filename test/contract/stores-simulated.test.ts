import type { Database } from '../../shared/store/firestore/database.ts'
import { createFirestoreBatches } from '../../shared/store/firestore/firestore-batches.ts'
import { createFirestoreDailyTokens } from '../../shared/store/firestore/firestore-daily-tokens.ts'
import { createFirestoreDeadLetters } from '../../shared/store/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../shared/store/firestore/firestore-documents.ts'
import { createFakeFirestore } from '../simulate/fake-database.ts'
import { START } from '../support/job-builders.ts'
import { batchStoreContract } from './batch-store-contract.ts'
import { dailyTokensContract } from './daily-tokens-contract.ts'
import { deadLetterStoreContract } from './dead-letter-store-contract.ts'
import { jobStoreContract } from './job-store-contract.ts'

/** Our own adapters over the Firestore of the simulation: whoever could tell it from Google's would tell it here. */
const NAME = 'the simulated Firestore'

function openDatabase(): Database {
  return createFakeFirestore(() => START).connect()
}

/** Of a kind that we never write. */
function spoil(database: Database, name: string, field: string) {
  const fields = { [field]: { nullValue: 'NULL_VALUE' as const } }
  return database.batchWrite([{ update: { name, fields }, updateMask: { fieldPaths: [field] } }])
}

jobStoreContract(NAME, async () => {
  let now = START
  const firestore = createFakeFirestore(() => now)
  const opened: Database[] = []
  const open = () => {
    const database = firestore.connect()
    opened.push(database)
    return createFirestoreDocuments(database)
  }
  return {
    documents: open(),
    another: async () => open(),
    async pass(ms) {
      // Writes are microseconds apart, so that a little of it may be used up.
      now += ms + 1
    },
    async spoil(key) {
      const database = firestore.connect()
      await spoil(database, `${database.root}/promptJobs/${key}`, 'createdAt')
    },
    async close() {
      await Promise.all(opened.splice(0).map((each) => each.close()))
    },
  }
})

batchStoreContract(NAME, async () => {
  const database = openDatabase()
  return { batches: createFirestoreBatches(database), close: () => database.close() }
})

dailyTokensContract(NAME, async () => {
  const database = openDatabase()
  return { days: createFirestoreDailyTokens(database), close: () => database.close() }
})

deadLetterStoreContract(NAME, async () => {
  const database = openDatabase()
  return {
    letters: createFirestoreDeadLetters(database),
    another: async () => createFirestoreDeadLetters(database),
    async spoil(id) {
      await spoil(database, `${database.root}/deadLetters/${id}`, 'times')
    },
    close: () => database.close(),
  }
})
