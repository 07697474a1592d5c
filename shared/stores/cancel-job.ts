import { type CancelDecision, decideCancel } from '../job/claim.ts'
import type { CancelledRecord } from '../job/record.ts'
import { cancelled, cancelledUnseen, type JobName, type Settlement } from '../job/transitions.ts'
import type { RecordDocuments } from './record-documents.ts'

export type CancelResult =
  | { readonly kind: 'cancelled'; readonly record: CancelledRecord }
  | Exclude<CancelDecision, { kind: 'cancel' }>

/** The number of tries after refused writes. A job that changes this often is running. */
const MAX_TRIES = 3

/**
 * Cancels a job unless it is held or settled, and returns the result. A repeated call changes nothing.
 *
 *     cancel       read ─── lease over ─── replace(cancelled, fenced by the revision that was read)
 *     delivery B              replace(running, B, fenced)    ✗ cancel reads again: lease lives, left alone
 *
 * Rejects with StoreError.
 */
export async function cancelJob(documents: RecordDocuments, job: JobName, at: Settlement): Promise<CancelResult> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const found = await documents.read(job.key)
    const decision = found === undefined ? undefined : decideCancel(found)
    if (decision !== undefined && decision.kind !== 'cancel') return decision
    const record = decision === undefined ? cancelledUnseen(job, at) : cancelled(decision.record, at)
    const written =
      found === undefined ? await documents.create(record) : await documents.replace(record, found.revision)
    if (written.kind === 'written') return { kind: 'cancelled', record }
  }
  return { kind: 'running', leaseLeftMs: 0 }
}
