import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { createFirestoreDailyTokens } from '../../../shared/stores/firestore/firestore-daily-tokens.ts'
import { createFirestoreDeadLetters } from '../../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { createFirestoreMissingDeployments } from '../../../shared/stores/firestore/firestore-missing-deployments.ts'
import { createFirestorePausedDeployments } from '../../../shared/stores/firestore/firestore-paused-deployments.ts'
import { toFields } from '../../../shared/stores/firestore/values.ts'
import { batchStoreContract } from '../../contract/batch-store-contract.ts'
import { dailyTokensContract } from '../../contract/daily-tokens-contract.ts'
import { deadLetterStoreContract } from '../../contract/dead-letter-store-contract.ts'
import { jobStoreContract } from '../../contract/job-store-contract.ts'
import { missingDeploymentsContract } from '../../contract/missing-deployments-contract.ts'
import { pausedDeploymentsContract } from '../../contract/paused-deployments-contract.ts'
import { START } from '../../support/job-builders.ts'
import { createFakeFirestore } from './fake-database.ts'

/** Our own adapters over the simulation's Firestore: a difference from Google's Firestore fails here. */
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
      await spoil(database, `${database.root}/promptJobs/${key}`, 'attempts')
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

test(`${NAME}: a batch that was edited by hand, or is none of ours, hides no other and stays cancelled`, async () => {
  const database = openDatabase()
  const batches = createFirestoreBatches(database)
  for (const name of ['edited', 'whole']) {
    await batches.open(name, START)
    await batches.seal(name, 3, START)
  }
  const edited = {
    ...{ name: { integerValue: 7 }, createdAt: { nullValue: 'NULL_VALUE' as const }, total: { doubleValue: 3 } },
    ...{ counts: { stringValue: 'many' }, cancelledAt: { booleanValue: true } },
  }
  const root = `${database.root}/promptBatches`
  const mask = { fieldPaths: Object.keys(edited) }
  const foreign = { name: `${root}/batch:%`, fields: toFields({ toSweep: 0, total: 1 }) }
  await database.batchWrite([
    { update: { name: `${root}/batch:edited`, fields: edited }, updateMask: mask },
    { update: foreign },
  ])
  const found = (await Array.fromAsync(batches.unfinished(1))).flat()
  assert.deepEqual(
    found.map(({ name }) => name),
    ['edited', 'whole'],
  )
  const { cancelledAt, status } = (await batches.read('edited')) ?? {}
  assert.deepEqual([cancelledAt, status], [0, 'sealed'])
})

test(`${NAME}: a batch that one sweep counts after another has ended it is looked at by no later one`, async () => {
  const firestore = createFakeFirestore(() => START)
  const batches = createFirestoreBatches(firestore.connect())
  await batches.open('nightly', START)
  await batches.seal('nightly', 1, START)
  await batches.end('nightly', { as: 'completed', total: 1, at: START })
  await batches.note('nightly', { counts: { succeeded: 1 }, sweptAt: START + 1 })
  assert.deepEqual((await Array.fromAsync(batches.unfinished(9))).flat(), [])
  const [stored] = firestore.documents('promptBatches')
  assert.deepEqual(
    [stored?.fields['toSweep'], stored?.fields['completedAt']?.timestampValue !== undefined],
    [undefined, true],
  )
})

dailyTokensContract(NAME, async () => {
  const database = openDatabase()
  return { days: createFirestoreDailyTokens(database), close: () => database.close() }
})

pausedDeploymentsContract(NAME, async () => {
  const database = openDatabase()
  return { paused: createFirestorePausedDeployments(database), close: () => database.close() }
})

deadLetterStoreContract(NAME, async () => {
  const database = openDatabase()
  return {
    letters: createFirestoreDeadLetters(database),
    another: async () => createFirestoreDeadLetters(database),
    async spoil(id) {
      await spoil(database, `${database.root}/deadLetters/${id}`, 'data')
    },
    close: () => database.close(),
  }
})

missingDeploymentsContract(NAME, async () => {
  let now = START
  const firestore = createFakeFirestore(() => now)
  const [first, second] = [firestore.connect(), firestore.connect()]
  return {
    missing: createFirestoreMissingDeployments(first, () => now),
    // An instance whose clock is far off.
    another: createFirestoreMissingDeployments(second, () => now - 3_600_000),
    async pass(ms) {
      // Writes are microseconds apart, so that a little of it may be used up.
      now += ms + 1
    },
    async close() {
      await Promise.all([first.close(), second.close()])
    },
  }
})
