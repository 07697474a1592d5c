import { decideClaim, decideRefusedWrite } from '../../job/claim.ts'
import type { ClaimRequest, Ending } from '../../job/ending.ts'
import {
  isSettled,
  type JobRecord,
  type RunningRecord,
  type SettledRecord,
  type StoredResult,
} from '../../job/record.ts'
import {
  ended,
  firstRecord,
  givenUp,
  nextAttempt,
  nextRun,
  released,
  type Settlement,
  succeeded,
  withCountsOf,
  withDeadAttempt,
} from '../../job/transitions.ts'
import type { ClaimResult, Held, JobStore } from '../job-store.ts'
import type { RecordDocuments, StoredRecord } from '../record-documents.ts'
import { cutIntoParts, describeParts, fitsIntoRecord } from '../result-parts.ts'

/** The retry delay for a job that another delivery claimed at the same moment. */
const LOST_RACE_RETRY_MS = 1_000
/** A refused fenced claim is decided again once: its own lost reply looks like a lost race. */
const CLAIM_READS = 2
/** The number of parts in one call. More would wait in memory, and could be rejected. */
const PARTS_AT_ONCE = 8

/**
 * Claims and settles jobs over any store of documents with revisions: two writes a job, and no read.
 *
 *     delivery A   create(running, A) ─── ask ─── replace(succeeded, fenced by A's revision)
 *     delivery B        create ✗ ─ read ─ lease lives: busy
 *     A's instance dies    ✗
 *     delivery C                create ✗ ─ read ─ lease over ─ replace(running, C, fenced) ─── ask …
 *     A wakes up                                                  replace ✗ fenced off: its result is dropped
 */
export function createJobStore(documents: RecordDocuments, resultTtlMs: number): JobStore {
  return {
    async claim(request) {
      const first = firstRecord(request)
      const created = await documents.create(first)
      if (created.kind === 'written') return run(first, created.revision)
      return claimExisting(documents, request, resultTtlMs)
    },

    async settle(held, ending, now) {
      const record = await endedRecord(documents, held.record, ending, { now, expireAt: now + resultTtlMs })
      const stands = await closeClaim(documents, held, record)
      return stands !== undefined && isSettled(stands) ? { kind: 'settled', record: stands } : { kind: 'dropped' }
    },

    async release(held, release, now) {
      await closeClaim(documents, held, released(held.record, release, now))
    },
  }
}

async function claimExisting(documents: RecordDocuments, request: ClaimRequest, ttlMs: number): Promise<ClaimResult> {
  for (let reads = 0; reads < CLAIM_READS; reads += 1) {
    const found = await documents.read(request.job.key)
    if (found === undefined) break
    const result = await claimFound(documents, found, request, ttlMs)
    if (result !== 'refused') return result
  }
  return { kind: 'busy', retryInMs: LOST_RACE_RETRY_MS }
}

async function claimFound(
  documents: RecordDocuments,
  { record, revision, ageMs }: StoredRecord,
  request: ClaimRequest,
  ttlMs: number,
): Promise<ClaimResult | 'refused'> {
  const { job, owner, policy, now, deployment } = request
  const wanted = { run: job.run, payloadHash: job.payloadHash, owner, deployment }
  const decision = decideClaim({ record, ageMs }, wanted, policy)
  switch (decision.kind) {
    case 'mine':
      return run(decision.record, revision)
    case 'next_attempt':
      return runFenced(documents, nextAttempt(decision.waiting, request, decision.wait), revision)
    case 'next_run':
      return runFenced(documents, nextRun(record, request), revision)
    case 'take_over':
      return runFenced(documents, nextAttempt(withDeadAttempt(decision.dead, now), request), revision)
    case 'give_up': {
      const settled = givenUp(decision.dead, owner, decision.reason, { now, expireAt: now + ttlMs })
      const written = await documents.replace(settled, revision)
      return written.kind === 'written' ? { kind: 'settled', record: settled } : 'refused'
    }
    case 'waits':
      return { kind: 'waits', retryInMs: decision.retryInMs, waitsFor: decision.waiting.waitsFor }
    default:
      return decision
  }
}

async function runFenced(
  documents: RecordDocuments,
  record: RunningRecord,
  revision: string,
): Promise<ClaimResult | 'refused'> {
  const written = await documents.replace(record, revision)
  return written.kind === 'written' ? run(record, written.revision) : 'refused'
}

function run(record: RunningRecord, revision: string): ClaimResult {
  return { kind: 'run', held: { record, revision } }
}

/** Writes the end of a claim and returns the stored record, or undefined if another claim holds the record. */
async function closeClaim(documents: RecordDocuments, held: Held, record: JobRecord): Promise<JobRecord | undefined> {
  const written = await documents.replace(record, held.revision)
  if (written.kind === 'written') return record
  const found = await documents.read(record.key)
  const decision = decideRefusedWrite(found?.record, held.record)
  // An earlier try of this write was applied. Other readers have seen its content, so it is the result.
  if (decision === 'applied') return found?.record
  if (decision === 'not_ours' || found === undefined) return undefined
  if (decision === 'settle_only' && !isSettled(record)) return undefined
  const changed = decision === 'settle_only' ? withCountsOf(found.record, record) : record
  return (await documents.replace(changed, found.revision)).kind === 'written' ? changed : undefined
}

async function endedRecord(
  documents: RecordDocuments,
  record: RunningRecord,
  ending: Ending,
  at: Settlement,
): Promise<SettledRecord> {
  if (ending.status !== 'succeeded') return ended(record, ending, at)
  return succeeded(record, ending, await storeResult(documents, record, ending.result, at.expireAt), at)
}

/** Writes the parts of a large result before the settle, so that a settled record never names missing parts. */
async function storeResult(
  documents: RecordDocuments,
  { key, owner }: RunningRecord,
  text: string,
  expireAt: number,
): Promise<StoredResult> {
  if (fitsIntoRecord(text)) return { in: 'record', text }
  let count = 0
  for (const parts of inGroups(cutIntoParts(text), PARTS_AT_ONCE)) {
    const first = count
    await Promise.all(parts.map((part, index) => documents.writePart(key, owner, first + index, part, expireAt)))
    count += parts.length
  }
  return describeParts(owner, text, count)
}

function* inGroups<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let group: T[] = []
  for (const item of items) {
    group.push(item)
    if (group.length === size) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}
