import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { JobRecord } from '../../shared/job/record.ts'
import { QueueError } from '../../shared/queues/job-queue.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { openSqliteDeadLetters } from '../../shared/stores/sqlite/sqlite-dead-letters.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { recordDeadLetter } from '../../worker/dead-letters/record.ts'
import { hashOf } from '../support/dead-letter-builders.ts'
import {
  aCancelledRecord,
  aDeadLetteredRecord,
  aJob,
  anExpiredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  DAY_MS,
  START,
} from '../support/job-builders.ts'

const data = Buffer.from(JSON.stringify({ id: 'doc-7', batch: 'nightly', prompt: 'Summarise: …' }))
const payloadHash = hashOf(data)
const { key } = aJob()
const TOO_OLD = START + 8 * DAY_MS

/** What came of a message that Pub/Sub gave up, with the events and letters that followed. */
async function forward(
  t: TestContext,
  record: JobRecord | undefined,
  {
    now = START,
    announce = async () => undefined,
    over = (documents) => documents,
    rescues = false,
  }: Partial<Dependencies> = {},
) {
  const documents = await openSqliteDocuments(':memory:', () => now)
  const letters = await openSqliteDeadLetters(':memory:')
  t.after(() => {
    documents.close()
    letters.close()
  })
  if (record !== undefined) await documents.create({ ...record, payloadHash })
  const published: string[] = []
  const recording = {
    ...{ records: over(documents), letters, ttlMs: DAY_MS, maxJobAgeMs: 7 * DAY_MS, now: () => now },
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    publishJob: async () => {
      assert.ok(rescues, 'it is not published again')
    },
    announce: async (ended: JobRecord) => {
      await announce()
      published.push(`${ended.run}/${ended.status}`)
    },
  } as const
  const delivery = {
    ...{ messageId: '1', data, attributes: {}, deliveryAttempt: 1, publishedAt: START },
    ...{ traceparent: undefined, arrivedAt: now },
  }
  const outcome = await recordDeadLetter(recording, { ok: true, delivery })
  const status = (await documents.read(key))?.record.status
  return { outcome, published, status, reasons: (await letters.list({}, 9)).found.map(({ reason }) => reason) }
}

interface Dependencies {
  readonly now: number
  readonly announce: () => Promise<void>
  readonly over: (documents: RecordDocuments) => RecordDocuments
  /** Whether the job may be published again. */
  readonly rescues: boolean
}

/** As a newer version may have written it. */
const unreadable = (documents: RecordDocuments): RecordDocuments => ({
  ...documents,
  read: () => Promise.reject(new StoreError('corrupt', 'the record is of another form')),
})

describe('a message that Pub/Sub gave up, of a job whose record this version cannot read', () => {
  test('is published again: nothing says that the job is not healthy', async (t) => {
    const { outcome, published, reasons } = await forward(t, aWaitingRecord(), { over: unreadable, rescues: true })
    assert.deepEqual([outcome.done && outcome.as, published, reasons], ['rescued', [], []])
  })

  test('is kept as a dead letter once its time is over, and the record stays as it is', async (t) => {
    const { outcome, published, status, reasons } = await forward(t, aWaitingRecord(), {
      now: TOO_OLD,
      over: unreadable,
    })
    assert.deepEqual([outcome.done, published, status, reasons], [true, [], 'waiting', ['max_age']])
  })
})

describe('a message that Pub/Sub gave up publishes the end of its job again: the worker that settled it may have died first', () => {
  for (const record of [aSucceededRecord, aCancelledRecord]) {
    test(`of one that is ${record.status}, and is done with`, async (t) => {
      const { outcome, published, reasons } = await forward(t, record)
      assert.deepEqual([outcome.done, published, reasons], [true, [`1/${record.status}`], []])
    })
  }

  for (const [record, reason] of [
    [aDeadLetteredRecord(), 'rejected'],
    [anExpiredRecord, 'expired'],
  ] as const) {
    test(`of one that is ${record.status}, and its letter is kept`, async (t) => {
      const { outcome, published, reasons } = await forward(t, record)
      assert.deepEqual([outcome.done, published, reasons], [true, [`1/${record.status}`], [reason]])
    })
  }

  test('and is redelivered while the events topic is unavailable', async (t) => {
    const announce = async () => Promise.reject(new QueueError('unavailable', 'away'))
    const { outcome, reasons } = await forward(t, aDeadLetteredRecord(), { announce })
    assert.deepEqual([outcome.done, reasons], [false, []])
  })
})

describe('a message that Pub/Sub gave up, of a job that waits for a provider', () => {
  const waits = aWaitingRecord({ waitMs: 600_000 })

  test('is published again: its wait says nothing against it', async (t) => {
    const { outcome, status } = await forward(t, waits, { rescues: true })
    assert.deepEqual([outcome.done && outcome.as, status], ['rescued', 'waiting'])
  })

  test('settles its record when its time is over, though its wait is not', async (t) => {
    const { published, status, reasons } = await forward(t, waits, { now: TOO_OLD })
    assert.deepEqual([published, status, reasons], [['1/dead_lettered'], 'dead_lettered', ['max_age']])
  })
})

describe('a message that Pub/Sub gave up, of a job whose time is over', () => {
  test('settles the record that waited for it, and publishes the end', async (t) => {
    const { outcome, published, status, reasons } = await forward(t, aWaitingRecord(), { now: TOO_OLD })
    assert.deepEqual(
      [outcome.done, published, status, reasons],
      [true, ['1/dead_lettered'], 'dead_lettered', ['max_age']],
    )
  })

  test('has a record that says so where no worker ever claimed it: its batch is to end', async (t) => {
    const { outcome, published, status, reasons } = await forward(t, undefined, { now: TOO_OLD })
    assert.deepEqual(
      [outcome.done, published, status, reasons],
      [true, ['1/dead_lettered'], 'dead_lettered', ['max_age']],
    )
  })

  test('settles and publishes the end before its letter is kept: a replay may replace the record', async (t) => {
    const announce = async () => Promise.reject(new QueueError('unavailable', 'away'))
    const { outcome, status, reasons } = await forward(t, aWaitingRecord(), { now: TOO_OLD, announce })
    assert.deepEqual([outcome.done, status, reasons], [false, 'dead_lettered', []])
  })

  test('is redelivered while a worker holds it', async (t) => {
    const { outcome, published, status, reasons } = await forward(t, aRunningRecord(), { now: TOO_OLD })
    assert.deepEqual([outcome.done, published, status, reasons], [false, [], 'running', []])
  })

  test('is redelivered when a worker claimed it meanwhile', async (t) => {
    const over = (documents: RecordDocuments): RecordDocuments => ({
      ...documents,
      async create(record) {
        await documents.create({ ...aRunningRecord(), payloadHash })
        return documents.create(record)
      },
    })
    const { outcome, published, status, reasons } = await forward(t, undefined, { now: TOO_OLD, over })
    assert.deepEqual([outcome.done, published, status, reasons], [false, [], 'running', []])
  })

  test('is redelivered when the record changed meanwhile: that change may have settled it', async (t) => {
    const over = (documents: RecordDocuments): RecordDocuments => ({
      ...documents,
      async replace(record, revision) {
        await documents.replace({ ...anExpiredRecord, payloadHash }, revision)
        return documents.replace(record, revision)
      },
    })
    const { outcome, published, status, reasons } = await forward(t, aWaitingRecord(), { now: TOO_OLD, over })
    assert.deepEqual([outcome.done, published, status, reasons], [false, [], 'expired', []])
  })
})
