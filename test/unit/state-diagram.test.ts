import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Ending, Release } from '../../shared/job/ending.ts'
import { decideForwarded } from '../../shared/job/forwarded.ts'
import { isSettled, type JobRecord, jobStatuses, type RunningRecord } from '../../shared/job/record.ts'
import { timeOver, timeOverUnseen } from '../../shared/job/transitions.ts'
import { cancelJob } from '../../shared/stores/cancel-job.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import type { RecordDocuments, StoredRecord } from '../../shared/stores/record-documents.ts'
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
  anExpiredRecord,
  anExpiry,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  DAY_MS,
  LEASE_MS,
  START,
} from '../support/job-builders.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/concepts.md'), 'utf8')

/** `from --> to`; `[*]` stands for a job without a record, and after a status for its end. */
type Arrow = string

/** The arrows of the first state diagram of a document. */
function drawn(document: string): readonly Arrow[] {
  const [, diagram = ''] = /^```mermaid\nstateDiagram-v2\n([\s\S]+?)^```$/m.exec(document) ?? []
  const lines = diagram.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => /^ {4}(\S+ --> [^\s:]+)(?:: .+)?$/.exec(line)?.[1] ?? `not an arrow: ${line}`)
}

const RUNS = [1, 2] as const
const AGES = [0, LEASE_MS, DAY_MS] as const
const NOWS = [START, START + 30 * DAY_MS] as const
const POLICIES = [
  { maxAttempts: 5, onUnknown: 'retry' },
  { maxAttempts: 1, onUnknown: 'dead-letter' },
] as const
const ENDINGS: readonly Ending[] = [anAnswer(), aDeadLetter(), aCancel, anExpiry]
const RELEASES: readonly Release[] = [anAmbiguousEnd, { marks: 'folded' }, { marks: 'none', kind: 'token' }]

/** Every record that a store may hold of the job, as far as the rules distinguish them; none for a job without a record. */
const held = aRunningRecord({ deadline: START + DAY_MS })
const found: readonly (JobRecord | undefined)[] = [
  undefined,
  held,
  aWaitingRecord(),
  aWaitingRecord({ owner: 'sweep' }),
  aWaitingRecord({ owner: 'another claim' }),
  aWaitingRecord({ deadline: START + DAY_MS }),
  aSucceededRecord,
  aDeadLetteredRecord(),
  aCancelledRecord,
  anExpiredRecord,
]

type Use = (documents: RecordDocuments, stored: StoredRecord | undefined) => Promise<unknown>

/** Everything that writes records, with what makes its rules decide otherwise. */
function everyUse(): readonly Use[] {
  const at = (now: number) => ({ now, expireAt: now + DAY_MS })
  const store = (documents: RecordDocuments) => createJobStore(documents, DAY_MS)
  // The claim's own record is not what stands there any more: its revision is an older one.
  const claim = (record: RunningRecord) => ({ record, revision: 'older' })
  return [
    ...RUNS.flatMap((run) =>
      POLICIES.map((policy): Use => {
        const request = aClaim({ job: aJob({ run }), owner: 'b', policy })
        return (documents) => store(documents).claim(request)
      }),
    ),
    ...ENDINGS.map(
      (ending): Use =>
        (documents) =>
          store(documents).settle(claim(held), ending, START),
    ),
    ...RELEASES.map(
      (release): Use =>
        (documents) =>
          store(documents).release(claim(held), release, START),
    ),
    (documents) => cancelJob(documents, aJob(), at(START)),
    ...NOWS.flatMap((now) =>
      POLICIES.map((policy): Use => {
        return async (documents, stored) => stored && (await sweepJob(documents, stored, policy, at(now)))
      }),
    ),
    ...[START + 2 * DAY_MS, undefined].map((deadline): Use => {
      const now = START + 30 * DAY_MS
      return (documents, stored) => settleForwarded(documents, stored, aJob({ deadline }), now)
    }),
  ]
}

/** What the worker does with the record of a job that Pub/Sub gave up on. */
async function settleForwarded(documents: RecordDocuments, stored: StoredRecord | undefined, job = aJob(), now = 0) {
  const at = { now, expireAt: now + DAY_MS }
  const rules = { now, firstPublishedAt: START, maxAgeMs: 7 * DAY_MS, policy: POLICIES[0] }
  const fate = decideForwarded(job, stored, rules)
  if (fate.kind !== 'record') return
  if (stored === undefined) await documents.create(timeOverUnseen(job, fate.error, at))
  else if (fate.unsettled) await documents.replace(timeOver(fate.unsettled, fate.error, at), stored.revision)
}

const unused = () => assert.fail('no rule needs this')

/** A store of one record that notes each change of its status. */
function watched(first: JobRecord | undefined, ageMs: number, arrows: Set<Arrow>): RecordDocuments {
  let stands = first
  const write = (record: JobRecord) => {
    arrows.add(`${stands?.status ?? '[*]'} --> ${record.status}`)
    stands = record
    return { kind: 'written', revision: 'newer' } as const
  }
  return {
    create: async (record) => (stands === undefined ? write(record) : { kind: 'refused' }),
    replace: async (record, revision) =>
      stands !== undefined && revision === 'now' ? write(record) : { kind: 'refused' },
    read: async () => stands && { record: stands, revision: 'now', ageMs },
    ...{
      list: unused,
      due: unused,
      countByStatus: unused,
      countFailures: unused,
      sumUsage: unused,
      writePart: unused,
      readParts: unused,
    },
  }
}

/** Every change of status that the rules make, from each record that may stand, at each age of it. */
async function made(): Promise<ReadonlySet<Arrow>> {
  const arrows = new Set<Arrow>()
  for (const record of found) {
    for (const ageMs of AGES) {
      for (const use of everyUse()) {
        const stored = record && { record, revision: 'now', ageMs }
        await use(watched(record, ageMs, arrows), stored)
      }
    }
  }
  return arrows
}

/** The statuses that nothing leaves. */
const finals = (arrows: ReadonlySet<Arrow>) =>
  jobStatuses.filter((status) => ![...arrows].some((arrow) => arrow.startsWith(`${status} -->`)))

const sorted = (arrows: Iterable<Arrow>) => [...arrows].toSorted()

test('state diagram: its states are the statuses of a record', () => {
  const names = new Set(drawn(page).flatMap((arrow) => arrow.split(' --> ')))
  names.delete('[*]')
  assert.deepEqual(sorted(names), jobStatuses.toSorted())
})

test('state diagram: it draws each change of status that the rules make, and no other', async () => {
  const arrows = await made()
  const ends = finals(arrows).map((status) => `${status} --> [*]`)
  assert.deepEqual(sorted(drawn(page)), sorted([...arrows, ...ends]))
})

test('state diagram: the rules leave every settled status except succeeded only by a new run', async () => {
  const arrows = [...(await made())]
  const settled = found.filter((record) => record !== undefined && isSettled(record)).map((record) => record?.status)
  const left = arrows.filter((arrow) => settled.some((status) => arrow.startsWith(`${status} -->`)))
  assert.deepEqual(sorted(left), ['cancelled --> running', 'dead_lettered --> running', 'expired --> running'])
})

test('state diagram: an arrow that is missing, one that is invented and a line that is no arrow are seen', () => {
  const at = '    waiting --> running: next attempt\n'
  const without = drawn(page.replace(at, ''))
  assert.equal(without.includes('waiting --> running'), false)
  assert.equal(without.length, drawn(page).length - 1)
  assert.ok(drawn(page.replace(at, `${at}    succeeded --> running: replay\n`)).includes('succeeded --> running'))
  assert.ok(drawn(page.replace(at, '    waiting -> running\n')).includes('not an arrow:     waiting -> running'))
})
