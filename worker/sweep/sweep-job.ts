import { decideSweep } from '../../shared/job/claim.ts'
import type { RetryPolicy } from '../../shared/job/failures.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import { agedOut, endedBySweep, expired, requeued, type Settlement } from '../../shared/job/transitions.ts'
import type { RecordDocuments, StoredRecord } from '../../shared/stores/record-documents.ts'

export type Swept =
  /** It is healthy. */
  | 'left'
  | 'expired'
  /** It waited for so long that it is a dead letter. */
  | 'tooOld'
  /** Its attempt died: it waits for the next. */
  | 'released'
  /** Its last attempt died: it is a dead letter. */
  | 'ended'
  /** Somebody else wrote the record first. */
  | 'raced'

/**
 * Brings a record that is due to what it should be, fenced by the revision that was read. Rejects with StoreError.
 *
 * The event and the dead letter are left to the job's redelivery: its message was not acknowledged. Of a job
 * that is too old the message may be gone, and nothing follows.
 */
export async function sweepJob(
  documents: Pick<RecordDocuments, 'replace'>,
  { record, revision, ageMs }: StoredRecord,
  policy: RetryPolicy,
  at: Settlement,
): Promise<Swept> {
  const write = async (changed: JobRecord, as: Swept): Promise<Swept> => {
    const written = await documents.replace(changed, revision)
    return written.kind === 'written' ? as : 'raced'
  }
  const decision = decideSweep({ record, ageMs }, at.now, policy)
  switch (decision.kind) {
    case 'expire':
      return write(expired(decision.waiting, at), 'expired')
    case 'too_old':
      return write(agedOut(decision.waiting, at), 'tooOld')
    case 'take_over':
      return write(requeued(decision.dead, at.now), 'released')
    case 'give_up':
      return write(endedBySweep(decision.dead, decision.reason, at), 'ended')
    case 'leave':
      return 'left'
  }
}
