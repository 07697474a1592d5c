import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { type Database, openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { createFirestoreDailyTokens } from '../../../shared/stores/firestore/firestore-daily-tokens.ts'
import { createFirestoreDeadLetters } from '../../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../../shared/stores/firestore/firestore-documents.ts'
import { createFirestoreMissingDeployments } from '../../../shared/stores/firestore/firestore-missing-deployments.ts'
import { createFirestorePausedDeployments } from '../../../shared/stores/firestore/firestore-paused-deployments.ts'
import { createFirestoreTelemetry } from '../../../shared/stores/firestore/firestore-telemetry.ts'
import type { Value } from '../../../shared/stores/firestore/protocol.ts'
import { fields, toFields } from '../../../shared/stores/firestore/values.ts'
import { batchStoreContract } from '../../contract/batch-store-contract.ts'
import { dailyTokensContract } from '../../contract/daily-tokens-contract.ts'
import { deadLetterStoreContract } from '../../contract/dead-letter-store-contract.ts'
import { jobStoreContract } from '../../contract/job-store-contract.ts'
import { isStoreError } from '../../contract/job-store-support.ts'
import { missingDeploymentsContract } from '../../contract/missing-deployments-contract.ts'
import { pausedDeploymentsContract } from '../../contract/paused-deployments-contract.ts'
import { telemetryStoreContract } from '../../contract/telemetry-store-contract.ts'
import { aNewDeadLetter } from '../../support/dead-letter-builders.ts'
import { aTokenFailure } from '../../support/telemetry-builders.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const DISCARD_PORT = '127.0.0.1:9'

const emulator = await startWarmEmulator('firestore')
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
    async spoil(key) {
      const [database] = opened
      const [fields, name] = [{ attempts: { nullValue: 'NULL_VALUE' as const } }, `${database?.root}/promptJobs/${key}`]
      await database?.batchWrite([{ update: { name, fields }, updateMask: { fieldPaths: ['attempts'] } }])
    },
    async close() {
      await Promise.all(opened.splice(0).map((each) => each.close()))
    },
  }
})

test('two databases of a project do not see each other', async () => {
  const project = `p-${randomUUID()}`
  const [one, other] = ['(default)', 'promptbridge-records'].map((database) =>
    openDatabase({ project, database, emulator: emulator.address }),
  )
  assert.ok(one && other)
  await one.batchWrite([{ update: { name: `${one.root}/promptJobs/a`, fields: toFields({ batch: 'nightly' }) } }])
  assert.deepEqual([await one.count('promptJobs', {}), await other.count('promptJobs', {})], [1, 0])
  await Promise.all([one.close(), other.close()])
})

batchStoreContract('Firestore', async () => {
  const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
  return { batches: createFirestoreBatches(database), close: () => database.close() }
})

dailyTokensContract('Firestore', async () => {
  const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
  return { days: createFirestoreDailyTokens(database), close: () => database.close() }
})

pausedDeploymentsContract('Firestore', async () => {
  const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
  return { paused: createFirestorePausedDeployments(database), close: () => database.close() }
})

const openLetters = () => {
  const database = openDatabase({ project: `p-${randomUUID()}`, emulator: emulator.address })
  return { database, letters: createFirestoreDeadLetters(database), close: () => database.close() }
}

deadLetterStoreContract('Firestore', async () => {
  const { database, letters, close } = openLetters()
  return {
    letters,
    close,
    another: async () => createFirestoreDeadLetters(database),
    async spoil(id) {
      const [fields, name] = [{ data: { nullValue: 'NULL_VALUE' as const } }, `${database.root}/deadLetters/${id}`]
      await database.batchWrite([{ update: { name, fields }, updateMask: { fieldPaths: ['data'] } }])
    },
  }
})

for (const [what, spoil] of Object.entries({
  'has no data': (name: string) => ({ update: { name, fields: {} } }),
  'is another': (name: string) => ({
    update: { name, fields: { bytes: { bytesValue: Buffer.alloc(900 * 1024) } } },
    updateMask: { fieldPaths: ['bytes'] },
  }),
})) {
  test(`Firestore: a dead letter of which a part ${what} has no data, and none of another letter`, async () => {
    const { database, letters, close } = openLetters()
    const letter = await letters.put(aNewDeadLetter(), randomBytes(2_000_000))
    const name = `${database.root}/deadLetters/${letter.id}/parts/${letter.data.sha256}-1`
    await database.batchWrite([spoil(name)])
    await assert.rejects(letters.readData(letter), isStoreError('corrupt'))
    await close()
  })
}

test('Firestore: parts of a write that broke off are never taken for the data', async () => {
  const { database, letters, close } = openLetters()
  const data = randomBytes(1_000_000)
  const { id } = await letters.put(aNewDeadLetter(), data)
  const fields = toFields({ owner: 'another hash', n: 0, bytes: Buffer.from('torn'), expireAt: Date.now() })
  await database.batchWrite([{ update: { name: `${database.root}/deadLetters/${id}/parts/another-0`, fields } }])
  const letter = await letters.get(id)
  assert.ok(letter)
  assert.ok(data.equals(await letters.readData(letter)))
  await close()
})

test('Firestore: each part expires with its letter, by itself', async () => {
  const { database, letters, close } = openLetters()
  const { id, data, expireAt } = await letters.put(aNewDeadLetter(), randomBytes(2_000_000))
  const parts = [0, 1, 2].map((n) => `${database.root}/deadLetters/${id}/parts/${data.sha256}-${n}`)
  const found = z.object({ found: z.object({ fields }) })
  for (const part of parts) {
    assert.partialDeepStrictEqual(found.parse(await database.get(part)).found.fields, { expireAt })
  }
  await close()
})

missingDeploymentsContract('Firestore', async () => {
  const project = `p-${randomUUID()}`
  const open = () => openDatabase({ project, emulator: emulator.address })
  const [first, second] = [open(), open()]
  return {
    missing: createFirestoreMissingDeployments(first, Date.now),
    another: createFirestoreMissingDeployments(second, Date.now),
    // So that none of it is lost to rounding.
    pass: (ms) => delay(ms + 5),
    async close() {
      await Promise.all([first.close(), second.close()])
    },
  }
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

/** A value of a kind that we never write. */
function nullsOf(document: object): Record<string, Value> {
  const nulls = Object.entries(document).filter(([, value]) => value === null)
  return Object.fromEntries(nulls.map(([name]) => [name, { nullValue: 'NULL_VALUE' as const }]))
}

function withoutNulls(document: object): Parameters<typeof toFields>[0] {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null))
}

test('Firestore: telemetry is an error while the server cannot be reached', async (t) => {
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
