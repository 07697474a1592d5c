import assert from 'node:assert/strict'
import { parseJob } from '../../shared/job/parse-job.ts'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aClaim, sha256 } from './job-builders.ts'
import { JOB } from './on-worker.ts'
import type { TestWorker } from './worker.ts'

export const HOUR_MS = 3_600_000
export const OVERDUE_JOB = { ...JOB, batch: 'nightly' }

/** Writes a record as an instance left it when it died. With a deadline, the job waits for its next attempt. */
export async function plant({ file }: TestWorker, deadline?: number, agoMs = HOUR_MS): Promise<void> {
  const ago = Date.now() - agoMs
  const documents = await openSqliteDocuments(file, () => ago)
  const parsed = parseJob(Buffer.from(JSON.stringify(OVERDUE_JOB)), {}, sha256)
  assert.ok(parsed.ok)
  const store = createJobStore(documents, HOUR_MS)
  const claim = await store.claim(aClaim({ job: { ...parsed.job, deadline }, owner: 'dead', now: ago }))
  assert.ok(claim.kind === 'run')
  if (deadline !== undefined) await store.release(claim.held, { marks: 'none', kind: 'throttled' }, ago)
  documents.close()
}
