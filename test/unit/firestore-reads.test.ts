import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, mock, test } from 'node:test'
import { z } from 'zod'
import { type CallLimits, type Database, openDatabase } from '../../shared/stores/firestore/database.ts'
import { createFirestoreDeadLetters } from '../../shared/stores/firestore/firestore-dead-letters.ts'
import { createFirestoreDocuments } from '../../shared/stores/firestore/firestore-documents.ts'
import { readAnswers } from '../../shared/stores/firestore/read-answers.ts'
import { createRefusal } from '../../shared/stores/firestore/refusal.ts'
import { toFields } from '../../shared/stores/firestore/values.ts'
import { isStoreError } from '../contract/job-store-support.ts'
import { openFirestoreServer, type Serve, type ServedCall } from '../support/firestore-server.ts'
import { aSucceededRecord } from '../support/job-builders.ts'

const READ_TIME = { seconds: 1_790_000_000 }
const UPDATE_TIME = { seconds: 1_780_000_000 }
const ROOT = 'projects/p/databases/(default)/documents'

const pageQuery = z.object({
  structuredQuery: z.object({
    startAt: z.object({ values: z.array(z.object({ referenceValue: z.string() })) }).nullish(),
  }),
})

type Stored = Readonly<Record<string, object>>

/** Serves queries for pages of these documents, and reads of one. */
function serving(documents: Stored, calls: { sent: number }[] = []): Serve {
  const found = (name: string) => ({ name, fields: documents[name], createTime: UPDATE_TIME, updateTime: UPDATE_TIME })
  return async function* ({ method, request }) {
    const call = { sent: 0 }
    calls.push(call)
    if (method === 'BatchGetDocuments') {
      const {
        documents: [name = ''],
      } = z.object({ documents: z.array(z.string()) }).parse(request)
      yield name in documents ? { found: found(name), readTime: READ_TIME } : { missing: name, readTime: READ_TIME }
      return
    }
    const { startAt } = pageQuery.parse(request).structuredQuery
    const after = startAt?.values[0]?.referenceValue ?? ''
    const names = Object.keys(documents).filter((name) => name > after)
    for (const name of names.toSorted()) {
      call.sent += 1
      yield { document: found(name), readTime: READ_TIME }
    }
    if (call.sent === 0) yield { readTime: READ_TIME }
  }
}

async function over<T>(serve: Serve, work: (database: Database) => Promise<T>, limits?: CallLimits): Promise<T> {
  await using server = await openFirestoreServer(serve)
  const database = openDatabase({ project: 'p', emulator: server.address, ...(limits && { limits }) })
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** Records of one batch whose answers have so many bytes. */
function records(count: number, bytes: number): Stored {
  const text = 'x'.repeat(bytes)
  const keys = Array.from({ length: count }, (_, n) => `key-${String(n).padStart(4, '0')}`)
  return Object.fromEntries(
    keys.map((key) => {
      const record = { ...aSucceededRecord, key, result: { in: 'record', text } }
      return [`${ROOT}/promptJobs/${key}`, toFields(record)]
    }),
  )
}

async function listedKeys(database: Database): Promise<string[]> {
  const keys: string[] = []
  for await (const listed of createFirestoreDocuments(database).list('nightly')) {
    keys.push('record' in listed ? listed.record.key : `unreadable: ${listed.unreadable}`)
  }
  return keys
}

const keysIn = (documents: Stored) => Object.keys(documents).map((name) => name.split('/').at(-1))

describe('a listing', () => {
  test('of thousands of records is one call, and has each record once', async () => {
    const calls: { sent: number }[] = []
    const documents = records(1_000, 100)
    assert.deepEqual(await over(serving(documents, calls), listedKeys), keysIn(documents))
    assert.deepEqual(calls, [{ sent: 1_000 }])
  })

  test('reads no faster than its records are used', async () => {
    const calls: { sent: number }[] = []
    await over(serving(records(200, 400_000), calls), async (database) => {
      for await (const _ of createFirestoreDocuments(database).list('nightly')) break
    })
    const [{ sent } = { sent: 0 }] = calls
    assert.ok(sent < 100, `${sent} were sent`)
  })

  test('goes on after its last record where Firestore ends the query', async () => {
    const calls: { sent: number }[] = []
    const documents = records(10, 10)
    const cut: Serve = async function* (call) {
      let left = 4
      for await (const each of serving(documents, calls)(call)) {
        if (left-- === 0) throw new Error('the query takes too long')
        yield each
      }
    }
    assert.deepEqual(await over(cut, listedKeys), keysIn(documents))
    assert.equal(calls.length, 3)
  })

  test('ends where a query brings no record at all', async () => {
    const cut: Serve = async function* () {
      yield { readTime: READ_TIME }
      throw new Error('away')
    }
    await assert.rejects(over(cut, listedKeys), isStoreError('unavailable'))
  })

  test('has a record that cannot be read as that', async () => {
    const documents = { ...records(2, 10), [`${ROOT}/promptJobs/zz`]: toFields({ batch: 'nightly' }) }
    assert.deepEqual(await over(serving(documents), listedKeys), ['key-0000', 'key-0001', 'unreadable: zz'])
  })
})

test('a large answer is read part by part, each in a call of its own', async () => {
  const calls: { sent: number }[] = []
  const part = (n: number) => [`${ROOT}/promptJobs/key/parts/owner-${n}`, toFields({ owner: 'owner', n, text: `${n}` })]
  const documents = Object.fromEntries(Array.from({ length: 12 }, (_, n) => part(n)))
  const read = (database: Database) => Array.fromAsync(createFirestoreDocuments(database).readParts('key', 'owner'))
  const parts = await over(serving(documents, calls), read)
  assert.deepEqual(
    parts,
    Array.from({ length: 12 }, (_, n) => `${n}`),
  )
  assert.equal(calls.length, 13)
})

test('dead letters are listed up to the limit', async () => {
  const names = Array.from({ length: 90 }, (_, n) => `${ROOT}/deadLetters/key-${String(n).padStart(2, '0')}:1`)
  const documents = Object.fromEntries(names.map((name) => [name, toFields({ data: { bytes: 1, sha256: 'a' } })]))
  const list = (database: Database) => createFirestoreDeadLetters(database).list({}, 50)
  const calls: { sent: number }[] = []
  const { found } = await over(serving(documents, calls), list)
  assert.equal(found.at(-1)?.id, 'key-49:1')
  assert.equal(found.length, 50)
})

describe('a call has a time limit of its own kind', () => {
  const timeouts = async (ask: (database: Database) => Promise<unknown>) => {
    const calls: ServedCall[] = []
    await over(async function* (call) {
      calls.push(call)
      yield { result: { aggregateFields: {} }, readTime: READ_TIME }
    }, ask)
    return calls.map(({ timeoutMs }) => timeoutMs)
  }

  test('counts and sums have half a minute, since they take as long as there are entries', async () => {
    const [count = 0] = await timeouts((database) => database.count('promptJobs', { batch: 'nightly' }))
    const [sum = 0] = await timeouts((database) =>
      database.sum('promptJobs', { batch: 'nightly' }, ['usage.promptTokens']),
    )
    for (const ms of [count, sum]) assert.ok(ms > 6_000 && ms <= 25_000, `${ms} ms`)
  })

  test('a read of one document has five seconds', async () => {
    const [get = 0] = await over(
      async function* ({ timeoutMs }) {
        yield { missing: `${timeoutMs}`, readTime: READ_TIME }
      },
      async (database) => {
        const answer = z.object({ missing: z.string() }).parse(await database.get(`${ROOT}/promptJobs/any`))
        return [Number(answer.missing)]
      },
    )
    assert.ok(get <= 5_000, `${get} ms`)
  })
})

describe('a query ends by progress', () => {
  /** A query under way: `give` resolves once what it gave was read. */
  function aQuery() {
    const stream = Object.assign(new Readable({ objectMode: true, read: () => undefined }), { cancel: mock.fn() })
    const answers = readAnswers(
      stream,
      createRefusal({ project: 'p', database: '(default)', emulator: undefined }),
      10_000,
    )
    const give = async (answer: object) => {
      const next = answers.next()
      stream.push(answer)
      await next
    }
    return { stream, answers, give }
  }

  test('it goes on as long as documents come, however long that takes in all', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { stream, answers, give } = aQuery()
    for (let n = 0; n < 20; n += 1) {
      const next = give({ n })
      t.mock.timers.tick(9_999)
      await next
    }
    stream.push(null)
    assert.equal((await answers.next()).done, true)
    assert.equal(stream.cancel.mock.callCount(), 0)
  })

  test('the time in which the caller is busy does not count', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { stream, give } = aQuery()
    await give({ n: 1 })
    t.mock.timers.tick(60_000)
    await give({ n: 2 })
    assert.equal(stream.cancel.mock.callCount(), 0)
  })

  test('it is ended when none has come for ten seconds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { stream, answers, give } = aQuery()
    await give({ n: 1 })
    const next = answers.next()
    t.mock.timers.tick(10_000)
    await assert.rejects(next, isStoreError('unavailable'))
    assert.equal(stream.cancel.mock.callCount(), 1)
  })

  test('over the wire a call of which nothing more comes rejects', async () => {
    const limits = { callMs: 60_000, idleMs: 20, walkIdleMs: 20, queryMs: 60_000, aggregationMs: 60_000 }
    const serve: Serve = async function* (call) {
      yield { document: { name: 'a', fields: {} }, readTime: READ_TIME }
      if (!call.ended.aborted) await once(call.ended, 'abort')
    }
    const range = { since: 0, direction: 'ASCENDING' } as const
    const ask = (database: Database) => database.since('promptBatches', 'toSweep', range)
    await assert.rejects(over(serve, ask, limits), isStoreError('unavailable'))
  })

  test('over the wire a caller who wants no more ends the call', async () => {
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const serve: Serve = async function* (call) {
      yield { document: { name: 'a', fields: {} }, readTime: READ_TIME }
      if (!call.ended.aborted) await once(call.ended, 'abort')
      resolve()
    }
    await over(serve, async (database) => {
      for await (const _ of database.walk('promptJobs', { equal: {}, after: undefined })) break
      await ended
    })
  })
})
