import type { ClaimRequest } from '../../../shared/job/ending.ts'
import type { JobRecord } from '../../../shared/job/record.ts'
import type { createJobStore } from '../../../shared/stores/job-store/create-job-store.ts'
import type { ClaimResult, Held, JobStore } from '../../../shared/stores/job-store.ts'
import type { RecordDocuments } from '../../../shared/stores/record-documents.ts'
import { count, type Exercised, type Situation } from './exercised.ts'
import type { FakeFirestore } from './fake-database.ts'
import type { Monitor } from './monitor.ts'
import { readRecord, type SeenRecord } from './records.ts'

interface Observing {
  readonly firestore: FakeFirestore
  readonly exercised: Exercised
  readonly breach: Monitor['breach']
  readonly createJobStore: typeof createJobStore
}

/** A worker's way to the records, looked at from outside: what its claims find, and whether a paid answer is dropped. */
export function createObservedStore(
  documents: RecordDocuments,
  ttlMs: number,
  { firestore, exercised, breach, createJobStore }: Observing,
): JobStore {
  const lastRead = new Map<string, JobRecord>()
  const store = createJobStore({ ...documents, read: readAndRemember }, ttlMs)

  async function readAndRemember(key: string) {
    const found = await documents.read(key)
    if (found !== undefined) lastRead.set(key, found.record)
    return found
  }

  const recordOf = (key: string) => {
    const found = firestore.get(`${firestore.root}/promptJobs/${key}`)
    return found && readRecord(found)
  }

  /** Whether a claim has read that its attempt is the last one, and that no lease is held. */
  const isLastAttempt = ({ record: { key, owner } }: Held) => {
    const found = lastRead.get(key)
    return found?.status === 'waiting' && found.owner !== owner && found.attempts.at(-1)?.owner === owner
  }

  return {
    async claim(request) {
      const before = recordOf(request.job.key)
      const result = await store.claim(request)
      count(exercised, claimed(request, before, result))
      return result
    },
    async settle(held, ending, now) {
      const result = await store.settle(held, ending, now)
      if (result.kind === 'dropped' && ending.status === 'succeeded' && isLastAttempt(held)) {
        breach('paid-answer-kept', `${held.record.key}: an answer is dropped, and no other attempt has begun`)
      }
      return result
    },
    release: (held, release, now) => store.release(held, release, now),
  }
}

/** What a claim met. */
function claimed({ owner }: ClaimRequest, before: SeenRecord | undefined, result: ClaimResult): Situation {
  switch (result.kind) {
    case 'run': {
      if (before?.owner === owner) return 'claim: mine'
      const { attempts, run } = result.held.record
      if (attempts.length === 1) return 'claim: first attempt'
      return attempts.at(-2)?.run === run ? 'claim: next attempt' : 'claim: next run'
    }
    case 'settled':
      return result.record.owner === owner ? 'claim: gave up' : 'claim: settled'
    default:
      return `claim: ${result.kind}`
  }
}
