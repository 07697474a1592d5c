import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClaimRequest, Ending } from '../../shared/job/ending.ts'
import type { SettledRecord } from '../../shared/job/record.ts'
import { cancelJob } from '../../shared/stores/cancel-job.ts'
import { createJobReader, recordOf } from '../../shared/stores/job-reader.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import type { ClaimResult, Held, JobStore } from '../../shared/stores/job-store.ts'
import type { RecordDocuments, StoredRecord, Write } from '../../shared/stores/record-documents.ts'
import { MAX_RESULT_BYTES } from '../../shared/stores/result-parts.ts'
import { sweepJob } from '../../worker/sweep/sweep-job.ts'
import {
  aCancel,
  aCancelledRecord,
  aClaim,
  aDeadLetter,
  aDeadLetteredRecord,
  aJob,
  anAmbiguousEnd,
  anAnswer,
  anExpiry,
  aRunningRecord,
  aWaitingRecord,
  DAY_MS,
  LEASE_MS,
  START,
} from '../support/job-builders.ts'
import { isStoreError, losingReplies, partsOf, sendingTwice, withoutPart } from './job-store-support.ts'
import { linkAnswerCases } from './link-answer-cases.ts'

/** An empty store of one adapter. */
export interface Harness {
  readonly documents: RecordDocuments
  /** A further connection to the same store. */
  another(): Promise<RecordDocuments>
  /** Lets at least that much of the store's time pass. */
  pass(ms: number): Promise<void>
  /** Makes a record malformed. */
  spoil(key: string): Promise<void>
  /** Ends every connection; may be called twice. */
  close(): Promise<void>
}

/** The store, and the rules above it. */
type Rules = Harness & { readonly store: JobStore }
export type Fact = (title: string, holds: (rules: Rules) => Promise<void>) => void

/** A lease so short that a slow adapter can wait for its end. */
const SHORT_LEASE_MS = 50
const RESULT_TTL_MS = 30 * DAY_MS
const RACERS = 100

const endings: Readonly<Record<string, Ending>> = {
  'an answer': anAnswer(),
  'a large answer': anAnswer({ result: 'x'.repeat(MAX_RESULT_BYTES + 1) }),
  'a dead letter': aDeadLetter(),
  'an expiry': anExpiry,
  'a cancel': aCancel,
}

/** The behaviour that every adapter of RecordDocuments must have, so that claims are safe on it. */
export function jobStoreContract(name: string, open: () => Promise<Harness>): void {
  const fact: Fact = (title, holds) =>
    test(title, async () => {
      const harness = await open()
      try {
        await holds({ ...harness, store: createJobStore(harness.documents, RESULT_TTL_MS) })
      } finally {
        await harness.close()
      }
    })

  describe(`${name}: documents`, () => documentCases(fact))
  describe(`${name}: the first claim`, () => firstClaimFacts(fact))
  describe(`${name}: a claim after a death`, () => takeoverCases(fact))
  describe(`${name}: a claim of a settled job`, () => settledJobFacts(fact))
  describe(`${name}: a claim whose reply was lost`, () => lostClaimFacts(fact))
  describe(`${name}: settle`, () => settleCases(fact))
  describe(`${name}: a stale owner`, () => staleOwnerFacts(fact))
  describe(`${name}: release`, () => releaseCases(fact))
  describe(`${name}: a cancel`, () => cancelCases(fact))
  describe(`${name}: a sweep`, () => sweepCases(fact))
  describe(`${name}: a result`, () => resultCases(fact))
  describe(`${name}: an earlier answer`, () => linkAnswerCases(fact))
  describe(`${name}: a store that is away`, () => unavailableCases(fact))
}

function documentCases(fact: Fact): void {
  fact('a record that is not there is undefined, and not replaced', async ({ documents }) => {
    const record = aRunningRecord()
    assert.equal(await documents.read(record.key), undefined)
    await documents.create(aRunningRecord({ key: 'another key' }))
    const revision = (await documents.read('another key'))?.revision ?? ''
    assert.deepEqual(await documents.replace(record, revision), { kind: 'refused' })
    assert.equal(await documents.read(record.key), undefined)
  })

  fact('a record is read as it was written, with the revision of its write', async ({ documents }) => {
    const record = aRunningRecord({ metadata: { 'a.b/c `d`': 'ü\n"\\', e: '' }, id: '😀 \0 __x__', batch: '' })
    const created = await documents.create(record)
    const found = await documents.read(record.key)
    assert.deepEqual(found?.record, record)
    assert.deepEqual(created, { kind: 'written', revision: found?.revision })
  })

  fact('a job without a model has a record without one', async ({ documents, store }) => {
    const { record } = heldBy(await store.claim(aClaim({ job: aJob({ model: undefined }) })))
    assert.equal((await documents.read(record.key))?.record.model, undefined)
  })

  fact('a write is refused unless its revision is the newest, and every change makes a new one', async (harness) => {
    const { documents } = harness
    const first = revisionOf(await documents.create(aRunningRecord()))
    const record = aRunningRecord({ owner: 'next' })
    const second = revisionOf(await documents.replace(record, first))
    assert.notEqual(second, first)
    const late = aRunningRecord({ owner: 'late' })
    assert.deepEqual(await documents.replace(late, first), { kind: 'refused' })
    const found = await (await harness.another()).read(record.key)
    assert.deepEqual([found?.record, found?.revision], [record, second])
  })

  fact(
    'of two creates in the same tick one is written, and the other returns that it was not',
    async ({ documents }) => {
      const records = [aRunningRecord({ owner: 'a' }), aRunningRecord({ owner: 'b' })]
      const writes = await Promise.all(records.map((record) => documents.create(record)))
      const written = records.filter((_, i) => writes[i]?.kind === 'written')
      assert.deepEqual([(await documents.read(aJob().key))?.record], written)
    },
  )

  fact(
    'of two writes over one revision in the same tick one is written, and the other returns that it was not',
    async (harness) => {
      const revision = revisionOf(await harness.documents.create(aRunningRecord()))
      const records = [aRunningRecord({ owner: 'b' }), aRunningRecord({ owner: 'c' })]
      const connections = [harness.documents, await harness.another()]
      const writes = await Promise.all(
        records.map((record, i) => connections[i]?.replace(record, revision) ?? { kind: 'refused' }),
      )
      const written = records.filter((_, i) => writes[i]?.kind === 'written')
      assert.deepEqual([(await harness.documents.read(aJob().key))?.record], written)
    },
  )

  fact('writes to different records in the same tick are all written', async ({ documents }) => {
    const records = Array.from({ length: RACERS }, (_, i) => aRunningRecord({ key: `key-${i}`, id: `doc-${i}` }))
    const writes = await Promise.all(records.map((record) => documents.create(record)))
    assert.equal(writes.filter(({ kind }) => kind === 'written').length, RACERS)
    assert.equal((await Array.fromAsync(documents.list('nightly'))).length, RACERS)
  })

  fact('a record’s age counts from its last write, by the store’s time', async ({ documents, pass }) => {
    const revision = revisionOf(await documents.create(aRunningRecord()))
    await pass(SHORT_LEASE_MS)
    const before = await documents.read(aJob().key)
    assert.ok(before !== undefined && before.ageMs >= SHORT_LEASE_MS)
    await documents.replace(aRunningRecord({ owner: 'next' }), revision)
    const after = await documents.read(aJob().key)
    assert.ok(after !== undefined && after.ageMs >= 0 && after.ageMs < before.ageMs)
  })

  fact('a batch lists and counts its own records, and no others', async ({ documents, store }) => {
    const reader = createJobReader(documents)
    for (const [id, batch] of Object.entries({ one: 'a', two: 'a', three: 'b', four: '' })) {
      const held = heldBy(await store.claim(aClaim({ job: aJob({ id, batch }), owner: id })))
      if (id !== 'two') await store.settle(held, anAnswer(), START)
    }
    assert.deepEqual((await Array.fromAsync(reader.list('a'), recordOf)).map(({ id }) => id).sort(), ['one', 'two'])
    const nameless = (await Array.fromAsync(reader.list(''), recordOf)).map(({ id }) => id)
    assert.deepEqual(nameless, ['four'])
    assert.deepEqual(await Array.fromAsync(reader.list('no such batch')), [])
    assert.deepEqual(await reader.countByStatus('a'), { running: 1, succeeded: 1 })
    assert.deepEqual(await reader.countByStatus('no such batch'), {})
  })

  fact('failures of a batch are counted by the kind of their error', async ({ documents }) => {
    const failed = (key: string, kind: 'rejected' | 'budget', batch = 'nightly') =>
      documents.create(aDeadLetteredRecord({ key, id: key, batch, error: { kind, message: '' } }))
    await Promise.all([failed('one', 'rejected'), failed('two', 'budget'), failed('three', 'rejected')])
    await Promise.all([failed('four', 'budget', 'weekly'), documents.create({ ...aCancelledRecord, key: 'five' })])
    assert.deepEqual(await documents.countFailures('nightly'), { rejected: 2, budget: 1 })
    assert.deepEqual(await documents.countFailures('no such batch'), {})
  })

  fact('a record that cannot be read ends no listing: the others are listed beside its key', async (harness) => {
    const { documents, spoil } = harness
    for (const id of ['one', 'two', 'three']) await documents.create(aRunningRecord({ key: id, id }))
    await spoil('two')
    const listed = await Array.fromAsync(documents.list('nightly'))
    const names = listed.map((each) => ('record' in each ? each.record.id : `unreadable: ${each.unreadable}`))
    assert.deepEqual(names.toSorted(), ['one', 'three', 'unreadable: two'])
  })
}

function firstClaimFacts(fact: Fact): void {
  fact('100 racing claims over several connections give one run and 99 busy', async (harness) => {
    const results = await race(harness, aClaim())
    assert.deepEqual(tally(results), { run: 1, busy: RACERS - 1 })
    const winner = results.find(({ kind }) => kind === 'run')
    assert.ok(winner?.kind === 'run')
    assert.deepEqual((await harness.documents.read(aJob().key))?.record, winner.held.record)
  })

  fact('busy says how much of the lease is left', async ({ pass, store }) => {
    await store.claim(aClaim())
    await pass(SHORT_LEASE_MS)
    const busy = await store.claim(aClaim({ owner: 'b' }))
    assert.ok(busy.kind === 'busy' && busy.retryInMs > 0 && busy.retryInMs <= LEASE_MS - SHORT_LEASE_MS)
  })

  fact(
    'another payload under the same id is a conflict, and leaves the first record as it was',
    async ({ documents, store, pass }) => {
      const other = aClaim({ job: aJob({ payloadHash: 'another payload' }), owner: 'b' })
      const held = heldBy(await store.claim(aClaim({ leaseMs: SHORT_LEASE_MS })))
      const closings = [
        () => pass(SHORT_LEASE_MS),
        () => store.release(held, anAmbiguousEnd, START),
        async () => store.settle(heldBy(await store.claim(aClaim({ owner: 'c' }))), anAnswer(), START),
      ]
      for (const close of closings) {
        await close()
        const before = await documents.read(aJob().key)
        assert.deepEqual(await store.claim(other), { kind: 'conflict' })
        const after = await documents.read(aJob().key)
        assert.equal(JSON.stringify(after?.record), JSON.stringify(before?.record))
        assert.equal(after?.revision, before?.revision)
      }
    },
  )
}

function takeoverCases(fact: Fact): void {
  fact(
    'at the lease’s end the dead attempt is marked unknown and counted, and the next one runs',
    async ({ documents, store, pass }) => {
      const { record } = heldBy(await afterDeath({ pass, store }, aClaim({ owner: 'b', now: START + 500 })))
      assert.deepEqual(record.attempts, [
        { run: 1, n: 1, owner: 'a', startedAt: START, endedAt: START + 500, outcome: 'unknown' },
        { run: 1, n: 2, owner: 'b', startedAt: START + 500 },
      ])
      assert.deepEqual((await documents.read(record.key))?.record, record)
    },
  )

  fact('a lease is judged by the store’s clock, whatever that of the claimer says', async ({ store, pass }) => {
    await store.claim(aClaim({ leaseMs: SHORT_LEASE_MS }))
    assert.equal((await store.claim(aClaim({ owner: 'b', now: START + 3 * DAY_MS }))).kind, 'busy')
    await pass(SHORT_LEASE_MS)
    assert.equal((await store.claim(aClaim({ owner: 'b', now: START - 3 * DAY_MS }))).kind, 'run')
  })

  fact(
    '100 claims that race for a dead attempt’s job give one run and 99 busy',
    async ({ documents, store, pass, another }) => {
      await dies({ pass, store })
      assert.deepEqual(tally(await race({ documents, another }, aClaim())), { run: 1, busy: RACERS - 1 })
      assert.equal((await documents.read(aJob().key))?.record.attempts.length, 2)
    },
  )

  fact(
    '100 claims that race for a job without attempts left settle it once, with one record',
    async ({ documents, store, pass, another }) => {
      await dies({ pass, store })
      const results = await race({ documents, another }, aClaim({ policy: { maxAttempts: 1, onUnknown: 'retry' } }))
      const stored = (await documents.read(aJob().key))?.record
      for (const result of results) assert.deepEqual(settledBy(result), stored)
    },
  )
}

function settledJobFacts(fact: Fact): void {
  for (const [what, ending] of Object.entries(endings)) {
    fact(`that brought ${what} is settled, with its record`, async ({ store }) => {
      const settled = await store.settle(heldBy(await store.claim(aClaim())), ending, START + 800)
      const again = settledBy(await store.claim(aClaim({ owner: 'b' })))
      assert.deepEqual(settled, { kind: 'settled', record: again })
      assert.deepEqual([again.status, again.settledAt], [ending.status, START + 800])
      assert.equal(again.expireAt, START + 800 + RESULT_TTL_MS)
    })
  }

  for (const ending of [aDeadLetter(), anExpiry, aCancel]) {
    fact(
      `that is ${ending.status} is opened by run 2, with attempts from zero and the old ones kept`,
      async ({ documents, store }) => {
        const first = heldBy(await store.claim(aClaim({ policy: { maxAttempts: 1, onUnknown: 'retry' } })))
        await store.release(first, anAmbiguousEnd, START)
        await store.settle(heldBy(await store.claim(aClaim({ owner: 'b' }))), ending, START)
        const old = (await documents.read(aJob().key))?.record.attempts ?? []
        const { record } = heldBy(await store.claim(secondRun('c')))
        assert.deepEqual(record.attempts, [...old, { run: 2, n: 1, owner: 'c', startedAt: START }])
        assert.deepEqual([record.run, record.payloadHash], [2, 'the fixed payload'])
        assert.deepEqual((await documents.read(aJob().key))?.record, record)
      },
    )
  }

  fact(
    '100 claims of run 2 give one run and 99 busy, and make run 1 history',
    async ({ documents, store, another }) => {
      await store.settle(heldBy(await store.claim(aClaim())), aDeadLetter(), START)
      assert.deepEqual(tally(await race({ documents, another }, secondRun('b'))), { run: 1, busy: RACERS - 1 })
      assert.deepEqual(await store.claim(aClaim({ owner: 'late' })), { kind: 'superseded' })
    },
  )
}

/** How a job comes to stand before the claim whose reply is lost. */
const beforeClaim: Readonly<Record<string, (rules: Rules) => Promise<ClaimRequest>>> = {
  'the first attempt': async () => aClaim({ owner: 'me' }),
  'the next attempt': async ({ store }) => {
    await store.release(heldBy(await store.claim(aClaim())), anAmbiguousEnd, START)
    return aClaim({ owner: 'me' })
  },
  'a takeover': async (rules) => {
    await dies(rules)
    return aClaim({ owner: 'me' })
  },
  'the next run': async ({ store }) => {
    await store.settle(heldBy(await store.claim(aClaim())), aDeadLetter(), START)
    return secondRun('me')
  },
}

function lostClaimFacts(fact: Fact): void {
  for (const [what, prepare] of Object.entries(beforeClaim)) {
    fact(`goes on with ${what} when its owner repeats it, and can settle it`, async (rules) => {
      const { documents, store } = rules
      const request = await prepare(rules)
      const losing = createJobStore(losingReplies(documents), RESULT_TTL_MS)
      await assert.rejects(losing.claim(request), isStoreError('unavailable'))
      const written = await documents.read(aJob().key)
      const held = heldBy(await store.claim({ ...request, now: START + 5_000 }))
      assert.deepEqual([held.record, held.revision], [written?.record, written?.revision])
      assert.equal((await store.settle(held, anAnswer(), START)).kind, 'settled')
    })

    fact(`goes on with ${what} when the client sends it twice by itself`, async (rules) => {
      const { documents } = rules
      const store = createJobStore(sendingTwice(documents), RESULT_TTL_MS)
      const held = heldBy(await store.claim(await prepare(rules)))
      const written = await documents.read(aJob().key)
      assert.deepEqual([held.record, held.revision], [written?.record, written?.revision])
      assert.equal(held.record.attempts.filter(({ owner }) => owner === 'me').length, 1)
    })
  }

  fact('and that gave a job up finds it settled, as it left it', async (harness) => {
    await dies(harness)
    const request = aClaim({ owner: 'me', policy: { maxAttempts: 1, onUnknown: 'retry' } })
    const record = settledBy(await createJobStore(sendingTwice(harness.documents), RESULT_TTL_MS).claim(request))
    assert.deepEqual((await harness.documents.read(aJob().key))?.record, record)
  })
}

function settleCases(fact: Fact): void {
  for (const [what, ending] of Object.entries(endings)) {
    fact(`whose reply was lost, repeated, settles ${what} once`, async ({ documents, store }) => {
      const held = heldBy(await store.claim(aClaim()))
      const losing = createJobStore(losingReplies(documents), RESULT_TTL_MS)
      await assert.rejects(losing.settle(held, ending, START + 100), isStoreError('unavailable'))
      const written = await documents.read(aJob().key)
      const again = await store.settle(held, ending, START + 2_000)
      assert.deepEqual(again, { kind: 'settled', record: written?.record })
      assert.deepEqual((await documents.read(aJob().key))?.revision, written?.revision)
    })

    fact(`that the client sends twice by itself settles ${what}`, async ({ documents }) => {
      const held = heldBy(await createJobStore(documents, RESULT_TTL_MS).claim(aClaim()))
      const result = await createJobStore(sendingTwice(documents), RESULT_TTL_MS).settle(held, ending, START)
      assert.deepEqual(result, { kind: 'settled', record: (await documents.read(aJob().key))?.record })
    })
  }

  fact('after the lease’s end is in time unless another worker took over', async ({ store, pass }) => {
    const held = await dies({ pass, store })
    assert.equal((await store.settle(held, anAnswer(), START)).kind, 'settled')
  })

  fact('after the same claim was released is dropped, and is not reported as settled', async ({ documents, store }) => {
    const held = heldBy(await store.claim(aClaim()))
    await store.release(held, anAmbiguousEnd, START)
    assert.deepEqual(await store.settle(held, anAnswer(), START), { kind: 'dropped' })
    assert.equal((await documents.read(aJob().key))?.record.status, 'waiting')
  })

  fact('is written over a newer revision of its own running record', async ({ documents, store }) => {
    const held = heldBy(await store.claim(aClaim()))
    await documents.replace(held.record, held.revision)
    const settled = await store.settle(held, anAnswer(), START)
    assert.deepEqual(settled, { kind: 'settled', record: (await documents.read(aJob().key))?.record })
  })

  for (const order of ['settle first', 'claim first']) {
    fact(`and a claim in the same tick each get a true answer: ${order}, lease alive`, async ({ store }) => {
      const held = heldBy(await store.claim(aClaim()))
      const [settled, claimed] = await inOneTick(order, store, held)
      assert.equal(settled.kind, 'settled')
      assert.ok(['settled', 'busy'].includes(claimed.kind), claimed.kind)
    })

    fact(
      `and a claim in the same tick each get a true answer: ${order}, lease over`,
      async ({ documents, store, pass }) => {
        const held = await dies({ pass, store })
        const [settled, claimed] = await inOneTick(order, store, held)
        const stored = (await documents.read(aJob().key))?.record
        assert.deepEqual(
          settled.kind === 'settled' ? [settled.record, claimed] : [heldBy(claimed).record],
          settled.kind === 'settled' ? [stored, settled] : [stored],
        )
      },
    )
  }
}

function staleOwnerFacts(fact: Fact): void {
  const newer: Readonly<Record<string, (store: JobStore, held: Held) => Promise<unknown>>> = {
    running: async () => undefined,
    waiting: (store, held) => store.release(held, anAmbiguousEnd, START),
    succeeded: (store, held) => store.settle(held, anAnswer({ result: '"the newer"' }), START),
    'dead-lettered': (store, held) => store.settle(held, aDeadLetter(), START),
  }

  for (const [state, close] of Object.entries(newer)) {
    fact(
      `that settles or releases late is dropped, and the newer owner’s ${state} record stands`,
      async ({ documents, store, pass }) => {
        const stale = await dies({ pass, store })
        await close(store, heldBy(await store.claim(aClaim({ owner: 'b' }))))
        const before = await documents.read(aJob().key)
        for (const ending of Object.values(endings)) {
          assert.deepEqual(await store.settle(stale, ending, START), { kind: 'dropped' })
        }
        await store.release(stale, anAmbiguousEnd, START)
        const after = await documents.read(aJob().key)
        assert.deepEqual([after?.record, after?.revision], [before?.record, before?.revision])
      },
    )
  }

  fact(
    'of a job that was given up is dropped, and does not count as the owner that settled it',
    async ({ documents, store, pass }) => {
      const zombie = await dies({ pass, store })
      const policy = { maxAttempts: 1, onUnknown: 'retry' } as const
      const record = settledBy(await store.claim(aClaim({ owner: 'b', policy })))
      for (const ending of Object.values(endings)) {
        assert.deepEqual(await store.settle(zombie, ending, START), { kind: 'dropped' })
      }
      assert.deepEqual((await documents.read(aJob().key))?.record, record)
    },
  )

  fact('leaves parts that are never read: the true result stands', async ({ documents, store, pass }) => {
    const stale = await dies({ pass, store })
    const held = heldBy(await store.claim(aClaim({ owner: 'b' })))
    const truth = 'b'.repeat(MAX_RESULT_BYTES + 7)
    await store.settle(held, anAnswer({ result: truth }), START)
    const late = await store.settle(stale, anAnswer({ result: 'a'.repeat(3 * MAX_RESULT_BYTES) }), START)
    assert.equal(late.kind, 'dropped')
    assert.equal((await partsOf(documents, aJob().key, 'a')).length, 3)
    assert.equal(await resultOf(documents), truth)
  })
}

function releaseCases(fact: Fact): void {
  fact('whose reply was lost, repeated, changes nothing more', async ({ documents, store }) => {
    const held = heldBy(await store.claim(aClaim()))
    const losing = createJobStore(losingReplies(documents), RESULT_TTL_MS)
    const release = { marks: 'none', kind: 'throttled' } as const
    await assert.rejects(losing.release(held, release, START), isStoreError('unavailable'))
    const before = await documents.read(aJob().key)
    await store.release(held, release, START + 1)
    const after = await documents.read(aJob().key)
    assert.deepEqual([after?.record, after?.revision], [before?.record, before?.revision])
  })

  fact(
    'that asks to wait keeps deliveries from claiming, and leaves the record as it is',
    async ({ documents, store }) => {
      const release = { marks: 'none', kind: 'throttled', waitMs: DAY_MS } as const
      await store.release(heldBy(await store.claim(aClaim())), release, START)
      const before = await documents.read(aJob().key)
      const claim = await store.claim(aClaim({ owner: 'b' }))
      assert.ok(claim.kind === 'waits' && claim.retryInMs > DAY_MS / 2 && claim.retryInMs <= DAY_MS)
      const after = await documents.read(aJob().key)
      assert.deepEqual([after?.record, after?.revision], [before?.record, before?.revision])
    },
  )
}

function cancelCases(fact: Fact): void {
  const { key, id, batch } = aJob()
  const at = { now: START + 900, expireAt: START + DAY_MS }
  const cancel = (documents: RecordDocuments) => cancelJob(documents, { key, id, batch }, at)

  fact(
    'of a job that was never claimed leaves a record that ends every delivery of it',
    async ({ documents, store }) => {
      const result = await cancel(documents)
      assert.ok(result.kind === 'cancelled')
      assert.deepEqual((await documents.read(key))?.record, result.record)
      assert.deepEqual([result.record.settledAt, result.record.expireAt], [at.now, at.expireAt])
      for (const job of [aJob(), aJob({ payloadHash: 'another payload' })]) {
        assert.deepEqual(settledBy(await store.claim(aClaim({ job }))), result.record)
      }
      assert.deepEqual(await documents.countByStatus(batch), { cancelled: 1 })
    },
  )

  fact('of a job that runs touches nothing, and says how much of the lease is left', async ({ documents, store }) => {
    const held = heldBy(await store.claim(aClaim()))
    const result = await cancel(documents)
    assert.ok(result.kind === 'running' && result.leaseLeftMs > 0 && result.leaseLeftMs <= LEASE_MS)
    assert.equal((await documents.read(key))?.revision, held.revision)
    assert.equal((await store.settle(held, anAnswer(), START)).kind, 'settled')
  })

  for (const [what, ending] of Object.entries(endings)) {
    fact(`of a job that brought ${what} leaves it as it is`, async ({ documents, store }) => {
      await store.settle(heldBy(await store.claim(aClaim())), ending, START)
      const before = await documents.read(key)
      assert.deepEqual(await cancel(documents), { kind: 'settled', record: before?.record })
      assert.equal((await documents.read(key))?.revision, before?.revision)
    })
  }

  fact('whose reply was lost, repeated, finds the job cancelled', async ({ documents }) => {
    await assert.rejects(cancel(losingReplies(documents)), isStoreError('unavailable'))
    const written = await documents.read(key)
    assert.deepEqual(await cancel(documents), { kind: 'settled', record: written?.record })
    assert.equal(written?.record.status, 'cancelled')
  })

  for (const order of ['settle first', 'cancel first']) {
    fact(
      `that races a late settle: the fence decides, and both get the true result: ${order}`,
      async ({ documents, store, pass }) => {
        const held = await dies({ pass, store })
        const works = [() => store.settle(held, anAnswer(), START), () => cancel(documents)] as const
        const [settle, stop] = works
        const racing = order === 'settle first' ? [settle(), stop()] : [stop(), settle()]
        const results = (await Promise.all(racing)).toSorted((a, b) => (a.kind < b.kind ? -1 : 1))
        const stored = (await documents.read(key))?.record
        const outcomes =
          stored?.status === 'succeeded'
            ? [
                { kind: 'settled', record: stored },
                { kind: 'settled', record: stored },
              ]
            : [{ kind: 'cancelled', record: stored }, { kind: 'dropped' }]
        assert.deepEqual(results, outcomes)
      },
    )
  }

  fact('that races 100 claims gives one winner, and reports it to every caller', async (harness) => {
    const [result, claims] = await Promise.all([cancel(await harness.another()), race(harness, aClaim())])
    const stored = (await harness.documents.read(key))?.record
    if (result.kind === 'cancelled') assert.deepEqual(tally(claims), { settled: RACERS })
    else assert.deepEqual([result.kind, tally(claims)], ['running', { run: 1, busy: RACERS - 1 }])
    assert.equal(stored?.status, result.kind)
  })
}

/** So long after its lease an attempt is left alone. */
const GRACE_MS = 60_000

function sweepCases(fact: Fact): void {
  const { key } = aJob()
  const policy = { maxAttempts: 5, onUnknown: 'retry' } as const
  const late = START + DAY_MS
  const at = { now: late, expireAt: late + DAY_MS }
  /** What a sweep does that finds a day gone by, by the store's clock too. */
  const sweep = async (documents: RecordDocuments, rules: ClaimRequest['policy'] = policy) => {
    const due = await allDue(documents, late)
    return Promise.all(due.map((stored) => sweepJob(documents, { ...stored, ageMs: DAY_MS }, rules, at)))
  }

  fact('finds what runs when its lease and the grace are over, and not a millisecond sooner', async ({ documents }) => {
    await createJobStore(documents, RESULT_TTL_MS).claim(aClaim())
    assert.deepEqual(await allDue(documents, START + LEASE_MS + GRACE_MS - 1), [])
    const [found, ...more] = await allDue(documents, START + LEASE_MS + GRACE_MS)
    const stored = await documents.read(key)
    assert.deepEqual([found?.record, found?.revision, more], [stored?.record, stored?.revision, []])
    assert.ok(found !== undefined && stored !== undefined && found.ageMs >= 0 && found.ageMs <= stored.ageMs)
  })

  fact('finds what waits when its deadline comes, and not a millisecond sooner', async ({ documents, store }) => {
    const job = aJob({ deadline: START + 5_000 })
    await store.release(heldBy(await store.claim(aClaim({ job }))), anAmbiguousEnd, START)
    assert.deepEqual(await allDue(documents, START + 4_999), [])
    assert.equal((await allDue(documents, START + 5_000)).length, 1)
  })

  fact(
    'finds what waits without a deadline when its run is too old, and not a millisecond sooner',
    async ({ documents, store }) => {
      await store.release(heldBy(await store.claim(aClaim({ maxAgeMs: DAY_MS }))), anAmbiguousEnd, START)
      assert.deepEqual(await allDue(documents, late - 1), [])
      assert.equal((await allDue(documents, late)).length, 1)
    },
  )

  fact('finds nothing that is settled, or that waits without a time', async ({ documents, store }) => {
    for (const [id, ending] of Object.entries(endings)) {
      const job = aJob({ id, deadline: START })
      await store.settle(heldBy(await store.claim(aClaim({ job, owner: id }))), ending, START)
    }
    const { giveUpAt: _, ...older } = aWaitingRecord()
    await documents.create(older)
    assert.deepEqual(await allDue(documents, late), [])
  })

  fact('takes no more than it is asked to, and in the end all', async ({ documents, store }) => {
    const ids = Array.from({ length: 40 }, (_, i) => `doc-${i}`)
    await Promise.all(ids.map((id) => store.claim(aClaim({ job: aJob({ id }), owner: id }))))
    const [some] = await Array.fromAsync(documents.due(late, 8))
    assert.ok(some !== undefined && some.records.length <= 8)
    for (const pageSize of [8, 16, 40, 1_000]) {
      const found = await allDue(documents, late, pageSize)
      assert.deepEqual(found.map(({ record }) => record.id).toSorted(), ids.toSorted(), `${pageSize} a page`)
    }
  })

  fact('goes on behind what is healthy, unreadable or due at the same time', async ({ documents, spoil }) => {
    const due = START + LEASE_MS + GRACE_MS
    const healthy = Array.from({ length: 30 }, (_, i) => aRunningRecord({ key: `a-healthy-${i}` }))
    const broken = Array.from({ length: 10 }, (_, i) => aRunningRecord({ key: `a-broken-${i}` }))
    const startedAt = START + 1
    const last = aRunningRecord({ key: 'a-last', attempts: [{ run: 1, n: 1, owner: 'a', startedAt }] })
    await Promise.all([...healthy, ...broken, last].map((record) => documents.create(record)))
    for (const { key: each } of broken) await spoil(each)

    const pages = await Array.fromAsync(documents.due(due + 1, 8))
    const found = pages.flatMap(({ records }) => records.map(({ record }) => record.key))
    assert.equal(found.at(-1), 'a-last')
    assert.deepEqual(found.toSorted(), [...healthy, last].map(({ key: each }) => each).toSorted())
    const unreadable = pages.flatMap((page) => page.unreadable)
    assert.deepEqual(unreadable.toSorted(), broken.map(({ key: each }) => each).toSorted())
  })

  fact('goes on behind what it changes meanwhile', async ({ documents }) => {
    const keys = Array.from({ length: 40 }, (_, i) => `a-${i}`)
    await Promise.all(keys.map((each) => documents.create(aRunningRecord({ key: each }))))
    const swept: string[] = []
    for await (const { records } of documents.due(late, 8)) {
      for (const stored of records) {
        assert.equal(await sweepJob(documents, { ...stored, ageMs: DAY_MS }, policy, at), 'released')
        swept.push(stored.record.key)
      }
    }
    assert.deepEqual(swept.toSorted(), keys.toSorted())
  })

  fact('leaves a lease that lives by the store’s clock, whatever its own says', async ({ documents }) => {
    await createJobStore(documents, RESULT_TTL_MS).claim(aClaim())
    const [stored] = await allDue(documents, late)
    assert.ok(stored !== undefined)
    assert.equal(await sweepJob(documents, stored, policy, at), 'left')
    assert.equal((await documents.read(key))?.revision, stored.revision)
  })

  fact('by two at once is done by one, and the other returns raced', async (harness) => {
    await createJobStore(harness.documents, RESULT_TTL_MS).claim(aClaim())
    const [stored] = await allDue(harness.documents, late)
    assert.ok(stored !== undefined)
    const dead = { ...stored, ageMs: DAY_MS }
    const both = [harness.documents, await harness.another()]
    const swept = await Promise.all(both.map((documents) => sweepJob(documents, dead, policy, at)))
    assert.deepEqual(swept.toSorted(), ['raced', 'released'])
    assert.equal((await harness.documents.read(key))?.record.attempts.length, 1)
  })

  for (const order of ['settle first', 'sweep first']) {
    fact(`that races a late settle never costs a paid answer: ${order}`, async ({ documents, store }) => {
      const held = heldBy(await store.claim(aClaim()))
      const [stored] = await allDue(documents, late)
      assert.ok(stored !== undefined)
      const settle = async () => (await store.settle(held, anAnswer(), late)).kind
      const sweepIt = () => sweepJob(documents, { ...stored, ageMs: DAY_MS }, policy, at)
      const outcomes = await Promise.all(order === 'settle first' ? [settle(), sweepIt()] : [sweepIt(), settle()])
      const status = (await documents.read(key))?.record.status
      assert.equal(status, 'succeeded')
      assert.ok(outcomes.includes('settled') && (outcomes.includes('raced') || outcomes.includes('released')))
    })
  }

  fact(
    'and then a claim that leaves no attempt cost no paid answer, and what was counted stays',
    async ({ documents, store }) => {
      const held = heldBy(await store.claim(aClaim()))
      await sweep(documents)
      await store.release(heldBy(await store.claim(aClaim({ owner: 'b' }))), { marks: 'folded' }, late)
      await store.release(held, { marks: 'none', kind: 'throttled' }, late)
      assert.equal((await store.settle(held, anAnswer(), late)).kind, 'settled')
      const record = (await documents.read(key))?.record
      assert.deepEqual([record?.status, record?.folded?.[0]?.n, record?.owner], ['succeeded', 1, held.record.owner])
    },
  )

  fact('sums the tokens of a batch’s answers, and of no other', async ({ documents, store }) => {
    assert.deepEqual(await documents.sumUsage({ batch: 'nightly' }), { promptTokens: 0, completionTokens: 0 })
    for (const [id, batch] of Object.entries({ one: 'nightly', two: 'nightly', three: 'daily', four: 'nightly' })) {
      const held = heldBy(await store.claim(aClaim({ job: aJob({ id, batch }), owner: id })))
      await store.settle(held, id === 'four' ? aDeadLetter() : anAnswer(), START)
    }
    assert.deepEqual(await documents.sumUsage({ batch: 'nightly' }), { promptTokens: 22, completionTokens: 14 })
  })

  fact('sums the tokens of a day’s answers, from 00:00 UTC on, whatever their batch', async ({ documents, store }) => {
    const midnight = START - (START % DAY_MS)
    const settledAt = { before: midnight - 1, first: midnight, last: midnight + DAY_MS - 1, after: midnight + DAY_MS }
    for (const [id, at] of Object.entries({ ...settledAt, failed: midnight })) {
      const held = heldBy(await store.claim(aClaim({ job: aJob({ id, batch: id }), owner: id })))
      await store.settle(held, id === 'failed' ? aDeadLetter() : anAnswer(), at)
    }
    const sum = async (day: string) => (await documents.sumUsage({ day })).promptTokens
    const days = ['2026-11-22', '2026-11-23', '2026-11-24', '2026-11-25', '2026-11-26']
    assert.deepEqual(await Promise.all(days.map(sum)), [0, 11, 22, 11, 0])
    assert.deepEqual(await documents.sumUsage({ day: '2026-11-24' }), { promptTokens: 22, completionTokens: 14 })
  })
}

function resultCases(fact: Fact): void {
  const shifted = [1, 2, 3].map((n) => [n, 'x'.repeat(n) + '😀'.repeat(MAX_RESULT_BYTES / 2)] as const)
  const places = { record: 'its record', parts: 'parts' }
  for (const [what, place, text] of [
    ['of nothing', 'record', ''],
    ['of 900 KiB', 'record', 'x'.repeat(MAX_RESULT_BYTES)],
    ['of one byte more', 'parts', 'x'.repeat(MAX_RESULT_BYTES + 1)],
    ['of 900 KiB in many bytes a character', 'record', '€'.repeat(MAX_RESULT_BYTES / 3)],
    ['of one byte more in many bytes a character', 'parts', `${'€'.repeat(MAX_RESULT_BYTES / 3)}x`],
    ['of 900 KiB in characters that JSON escapes', 'record', '"\n'.repeat(MAX_RESULT_BYTES / 2)],
    ['of one byte more in characters that JSON escapes', 'parts', `${'"\n'.repeat(MAX_RESULT_BYTES / 2)}"`],
    ...shifted.map(([n, text]) => [`with characters of four bytes ${n} off the cut`, 'parts', text] as const),
  ] as const) {
    fact(`${what} stands in ${places[place]}, and is read back whole`, async ({ store, another }) => {
      const settled = await store.settle(heldBy(await store.claim(aClaim())), anAnswer({ result: text }), START)
      assert.ok(settled.kind === 'settled' && settled.record.status === 'succeeded')
      assert.equal(settled.record.result.in, place)
      assert.ok((await resultOf(await another())) === text)
    })
  }

  fact('of a job that has none is undefined', async ({ documents, store }) => {
    await store.settle(heldBy(await store.claim(aClaim())), aDeadLetter(), START)
    assert.equal(await resultOf(documents), undefined)
  })

  const large = anAnswer({ result: 'x'.repeat(2 * MAX_RESULT_BYTES + 1) })

  for (const index of [0, 1, 2]) {
    fact(`whose part ${index} is missing is corrupt, never a shorter answer`, async ({ documents }) => {
      const store = createJobStore(withoutPart(documents, index), RESULT_TTL_MS)
      await store.settle(heldBy(await store.claim(aClaim())), large, START)
      await assert.rejects(resultOf(documents), isStoreError('corrupt'))
    })

    fact(`whose part ${index} is torn is corrupt, never a shorter answer`, async ({ documents, store }) => {
      await store.settle(heldBy(await store.claim(aClaim())), large, START)
      await documents.writePart(aJob().key, 'a', index, 'torn', START + RESULT_TTL_MS)
      await assert.rejects(resultOf(documents), isStoreError('corrupt'))
    })
  }

  fact('with a part too many is corrupt as well', async ({ documents, store }) => {
    await store.settle(heldBy(await store.claim(aClaim())), large, START)
    await documents.writePart(aJob().key, 'a', 3, 'x', START + RESULT_TTL_MS)
    await assert.rejects(resultOf(documents), isStoreError('corrupt'))
  })

  fact('has its parts in the order of their number, beyond nine', async ({ documents }) => {
    const numbers = Array.from({ length: 12 }, (_, i) => i)
    for (const n of numbers.toReversed()) await documents.writePart('key', 'a', n, `part ${n}`, START + DAY_MS)
    assert.deepEqual(
      await partsOf(documents, 'key', 'a'),
      numbers.map((n) => `part ${n}`),
    )
  })

  fact('has no other job’s parts, and no other owner’s', async ({ documents }) => {
    await documents.writePart('key', 'a', 0, 'mine', START + DAY_MS)
    await documents.writePart('key', 'a-0', 0, 'another owner’s', START + DAY_MS)
    await documents.writePart('key 2', 'a', 0, 'another job’s', START + DAY_MS)
    assert.deepEqual(await partsOf(documents, 'key', 'a'), ['mine'])
    assert.deepEqual(await partsOf(documents, 'key', 'b'), [])
  })
}

function unavailableCases(fact: Fact): void {
  fact('rejects every call with StoreError unavailable, and with nothing else', async ({ documents, close, store }) => {
    const reader = createJobReader(documents)
    const held = heldBy(await store.claim(aClaim()))
    const large = anAnswer({ result: 'x'.repeat(MAX_RESULT_BYTES + 1) })
    const settled = await store.settle(held, large, START)
    assert.ok(settled.kind === 'settled')
    await close()
    const calls = {
      claim: () => store.claim(aClaim({ owner: 'b' })),
      settle: () => store.settle(held, anAnswer(), START),
      'settle a large answer': () => store.settle(held, large, START),
      release: () => store.release(held, anAmbiguousEnd, START),
      read: () => reader.read(aJob().key),
      readResult: () => reader.readResult(settled.record),
      list: () => Array.fromAsync(reader.list('nightly')),
      countByStatus: () => reader.countByStatus('nightly'),
      replace: () => documents.replace(held.record, held.revision),
      writePart: () => documents.writePart('key', 'a', 0, 'x', START),
      due: () => allDue(documents, START),
      sumUsage: () => documents.sumUsage({ batch: 'nightly' }),
      cancel: () => cancelJob(documents, aJob(), { now: START, expireAt: START }),
      readParts: () => partsOf(documents, 'key', 'a'),
    }
    for (const [name, call] of Object.entries(calls)) await assert.rejects(call, isStoreError('unavailable'), name)
  })
}

async function allDue(documents: RecordDocuments, now: number, pageSize = 100): Promise<readonly StoredRecord[]> {
  const pages = await Array.fromAsync(documents.due(now, pageSize))
  return pages.flatMap(({ records }) => records)
}

function heldBy(result: ClaimResult): Held {
  assert.ok(result.kind === 'run', `it is ${result.kind}`)
  return result.held
}

function settledBy(result: ClaimResult): SettledRecord {
  assert.ok(result.kind === 'settled', `it is ${result.kind}`)
  return result.record
}

function revisionOf(write: Write): string {
  assert.ok(write.kind === 'written', 'it is refused')
  return write.revision
}

function secondRun(owner: string): ClaimRequest {
  return aClaim({ owner, job: aJob({ run: 2, payloadHash: 'the fixed payload' }) })
}

/** Owner a claims the job and is not heard of until its lease is over. */
async function dies({ pass, store }: Pick<Rules, 'pass' | 'store'>): Promise<Held> {
  const held = heldBy(await store.claim(aClaim({ leaseMs: SHORT_LEASE_MS })))
  await pass(SHORT_LEASE_MS)
  return held
}

async function afterDeath(rules: Pick<Rules, 'pass' | 'store'>, request: ClaimRequest): Promise<ClaimResult> {
  await dies(rules)
  return rules.store.claim(request)
}

/** The same claim by 100 owners at once, over four connections. */
async function race(
  harness: Pick<Rules, 'documents' | 'another'>,
  request: ClaimRequest,
): Promise<readonly ClaimResult[]> {
  const connections = [harness.documents, await harness.another(), await harness.another(), await harness.another()]
  const stores = connections.map((documents) => createJobStore(documents, RESULT_TTL_MS))
  const owners = Array.from({ length: RACERS / stores.length }, (_, i) => `racer-${i}`)
  return Promise.all(
    owners.flatMap((owner) => stores.map((store, i) => store.claim({ ...request, owner: `${owner}-${i}` }))),
  )
}

function tally(results: readonly ClaimResult[]): Readonly<Record<string, number>> {
  const kinds = Object.groupBy(results, ({ kind }) => kind)
  return Object.fromEntries(Object.entries(kinds).map(([kind, all]) => [kind, all.length]))
}

async function inOneTick(order: string, store: JobStore, held: Held) {
  const settle = () => store.settle(held, anAnswer(), START)
  const claim = () => store.claim(aClaim({ owner: 'b' }))
  if (order === 'settle first') return Promise.all([settle(), claim()])
  const [claimed, settled] = await Promise.all([claim(), settle()])
  return [settled, claimed] as const
}

async function resultOf(documents: RecordDocuments): Promise<string | undefined> {
  const reader = createJobReader(documents)
  const record = await reader.read(aJob().key)
  assert.ok(record !== undefined && record.status !== 'running' && record.status !== 'waiting')
  return reader.readResult(record)
}
