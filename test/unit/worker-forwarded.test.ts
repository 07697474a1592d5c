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

/** What came of a message that Pub/Sub gave up: its outcome, the events and letters that followed, the record's status. */
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
  const reasons = (await letters.list({}, 9)).found.map(({ reason }) => reason)
  return { outcome: outcome.done ? outcome.as : 'redelivered', published, status, reasons }
}

interface Dependencies {
  readonly now: number
  readonly announce: () => Promise<void>
  readonly over: (documents: RecordDocuments) => RecordDocuments
  /** Whether the job may be published again. */
  readonly rescues: boolean
}

const away = () => Promise.reject(new QueueError('unavailable', 'away'))
const recorded = 'dead_letter_recorded'

/** As a newer version may have written it. */
const unreadable = (documents: RecordDocuments): RecordDocuments => ({
  ...documents,
  read: () => Promise.reject(new StoreError('corrupt', 'the record is of another form')),
})

describe('a message that Pub/Sub gave up, of a job whose record this version cannot read', () => {
  test('is published again: nothing says that the job is not healthy', async (t) => {
    const { outcome, published, reasons } = await forward(t, aWaitingRecord(), { over: unreadable, rescues: true })
    assert.deepEqual([outcome, published, reasons], ['rescued', [], []])
  })

  test('is kept as a dead letter once its time is over, and the record stays as it is', async (t) => {
    const came = await forward(t, aWaitingRecord(), { now: TOO_OLD, over: unreadable })
    assert.deepEqual(came, { outcome: recorded, published: [], status: 'waiting', reasons: ['max_age'] })
  })
})

describe('a message that Pub/Sub gave up publishes the end of its job again: the worker that settled it may have died first', () => {
  for (const [record, outcome, ...reasons] of [
    [aSucceededRecord, 'already_settled'],
    [aCancelledRecord, 'already_settled'],
    [aDeadLetteredRecord(), recorded, 'rejected'],
    [anExpiredRecord, recorded, 'expired'],
  ] as const) {
    const { status } = record
    test(`of one that is ${status}, and ${reasons.length > 0 ? 'its letter is kept' : 'is done with'}`, async (t) => {
      assert.deepEqual(await forward(t, record), { outcome, published: [`1/${status}`], status, reasons })
    })
  }

  test('and is redelivered while the events topic is unavailable', async (t) => {
    const { outcome, reasons } = await forward(t, aDeadLetteredRecord(), { announce: away })
    assert.deepEqual([outcome, reasons], ['redelivered', []])
  })
})

test('a message that Pub/Sub gave up, of a job that waits for a provider, is published again: its wait says nothing against it', async (t) => {
  const { outcome, status } = await forward(t, aWaitingRecord({ waitMs: 600_000 }), { rescues: true })
  assert.deepEqual([outcome, status], ['rescued', 'waiting'])
})

describe('a message that Pub/Sub gave up, of a job whose time is over', () => {
  for (const [what, record] of [
    ['settles the record that waited for it, and publishes the end', aWaitingRecord()],
    ['settles a record that waits for a provider, though its wait is not over', aWaitingRecord({ waitMs: 600_000 })],
    ['has a record that says so where no worker ever claimed it: its batch is to end', undefined],
  ] as const) {
    test(what, async (t) => {
      const ended = { published: ['1/dead_lettered'], status: 'dead_lettered', reasons: ['max_age'] }
      assert.deepEqual(await forward(t, record, { now: TOO_OLD }), { outcome: recorded, ...ended })
    })
  }

  test('settles and publishes the end before its letter is kept: a replay may replace the record', async (t) => {
    const { outcome, status, reasons } = await forward(t, aWaitingRecord(), { now: TOO_OLD, announce: away })
    assert.deepEqual([outcome, status, reasons], ['redelivered', 'dead_lettered', []])
  })

  const claimedMeanwhile = (documents: RecordDocuments): RecordDocuments => ({
    ...documents,
    async create(record) {
      await documents.create({ ...aRunningRecord(), payloadHash })
      return documents.create(record)
    },
  })
  const changedMeanwhile = (documents: RecordDocuments): RecordDocuments => ({
    ...documents,
    async replace(record, revision) {
      await documents.replace({ ...anExpiredRecord, payloadHash }, revision)
      return documents.replace(record, revision)
    },
  })
  for (const [what, record, over, status] of [
    ['while a worker holds it', aRunningRecord(), undefined, 'running'],
    ['when a worker claimed it meanwhile', undefined, claimedMeanwhile, 'running'],
    ['when its record changed meanwhile: that may have settled it', aWaitingRecord(), changedMeanwhile, 'expired'],
  ] as const) {
    test(`is redelivered ${what}`, async (t) => {
      const came = await forward(t, record, { now: TOO_OLD, ...(over && { over }) })
      assert.deepEqual(came, { outcome: 'redelivered', published: [], status, reasons: [] })
    })
  }
})
