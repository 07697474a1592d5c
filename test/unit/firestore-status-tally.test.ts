import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { jobStatuses } from '../../shared/job/record.ts'
import { createFirestoreDocuments } from '../../shared/stores/firestore/firestore-documents.ts'
import { countsOf, MAX_TALLIED, TALLY_FIELDS, tallyOf } from '../../shared/stores/firestore/status-tally.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { createFakeFirestore } from '../proof/simulate/fake-database.ts'
import { aRunningRecord, aSucceededRecord, aWaitingRecord, START } from '../support/job-builders.ts'

const BATCH = 'nightly'
const sumsOf = (counts: Readonly<Record<string, number>>) =>
  TALLY_FIELDS.map((field) =>
    jobStatuses.reduce((sum, status) => {
      const tally = Object.entries(tallyOf(status)).find(([name]) => field.endsWith(`.${name}`))
      return sum + (tally?.[1] ?? 0) * (counts[status] ?? 0)
    }, 0),
  )

test('the sums of a batch of any size return the count of each status', () =>
  fc.assert(
    fc.property(fc.array(fc.nat({ max: MAX_TALLIED }), { minLength: 6, maxLength: 6 }), (numbers) => {
      const all = Object.fromEntries(jobStatuses.map((status, n) => [status, numbers[n] ?? 0]))
      const some = Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
      assert.deepEqual(countsOf(sumsOf(all)), some)
      assert.ok(sumsOf(all).every(Number.isSafeInteger))
    }),
  ))

describe('a batch is counted', () => {
  /** A batch of three records; `calls` names what is asked of the database. */
  async function aBatch(lacking: 'no index' | 'nothing' = 'nothing') {
    const firestore = createFakeFirestore(() => START)
    const database = firestore.connect()
    const calls: string[] = []
    const documents = createFirestoreDocuments({
      ...database,
      count: (...asked) => {
        calls.push('count')
        return database.count(...asked)
      },
      sumAndCount: async (...asked) => {
        calls.push('sum and count')
        if (lacking === 'no index') throw new StoreError('no_index', 'it is being built')
        return database.sumAndCount(...asked)
      },
    })
    const records = [aRunningRecord(), aWaitingRecord(), aSucceededRecord]
    for (const [n, record] of records.entries()) await documents.create({ ...record, key: `key-${n}`, batch: BATCH })
    await documents.create(aRunningRecord({ key: 'another', batch: 'another' }))
    return { database, documents, calls }
  }
  const counts = { running: 1, waiting: 1, succeeded: 1 }

  test('by one sum, and not status by status', async () => {
    const { documents, calls } = await aBatch()
    assert.deepEqual(await documents.countByStatus(BATCH), counts)
    assert.deepEqual(calls, ['sum and count'])
  })

  test('status by status while some of its records are those of an older version', async () => {
    const { database, documents, calls } = await aBatch()
    const name = `${database.root}/promptJobs/key-0`
    await database.batchWrite([{ update: { name, fields: {} }, updateMask: { fieldPaths: ['tally'] } }])
    assert.deepEqual(await documents.countByStatus(BATCH), counts)
    assert.equal(calls.filter((call) => call === 'count').length, jobStatuses.length)
  })

  test('status by status while its index is missing', async () => {
    const { documents } = await aBatch('no index')
    assert.deepEqual(await documents.countByStatus(BATCH), counts)
  })
})
