import type { RunSoFar } from './failures.ts'
import type { Attempt, JobRecord, RunningRecord, Wait } from './record.ts'

/* What a record says about the attempts of its job. */

/** Returns the attempts of the record's current run. */
export function runSoFar(record: JobRecord): RunSoFar {
  const ended = record.attempts.filter((attempt) => attempt.run === record.run && !isUnderWay(record, attempt))
  return {
    counted: ended.length,
    timeouts: ended.filter(({ cause }) => cause === TIMEOUT).length,
    folded: foldedIn(record, record.run),
  }
}

/** The cause of an attempt that MODEL_TIMEOUT_SECONDS ended. */
export const TIMEOUT = 'timeout'

/** How many sends of a job, or of one run of it, may have been billed without an answer. */
export function unknownAttempts(record: JobRecord, run?: number): number {
  const ofRun = record.attempts.filter((attempt) => run === undefined || attempt.run === run)
  return ofRun.filter(({ outcome }) => outcome === 'unknown').length + foldedIn(record, run)
}

/** How many attempts of a job, or of one run of it, the provider could not serve. */
export function foldedIn({ folded = [], uncounted }: Folding, run?: number): number {
  const listed = folded.reduce((sum, entry) => sum + entry.n, 0)
  const ofRun = folded.reduce((sum, entry) => (run === undefined || entry.run === run ? sum + entry.n : sum), 0)
  // If the last release wrote the record meanwhile, it dropped the entries, and their runs are unknown.
  return ofRun + Math.max(0, (uncounted[FOLDED_KIND] ?? 0) - listed)
}

type Folding = Pick<JobRecord, 'folded' | 'uncounted'>

/**
 * The kind under which `uncounted` also counts folded attempts. The last release keeps these counts when it writes a
 * record, so no attempt that may have been billed is lost. Nothing else uses this kind in `uncounted`.
 */
export const FOLDED_KIND = 'ambiguous'

function isUnderWay({ status, owner }: JobRecord, attempt: Attempt): boolean {
  return status === 'running' && attempt.owner === owner
}

/** What is left of a wait during which this attempt asked another deployment. */
export function waitLeft({ waitMs = 0, waitsFor, attempts, owner }: RunningRecord, now: number): Partial<Wait> {
  const { startedAt = now } = attempts.findLast((attempt) => attempt.owner === owner) ?? {}
  const leftMs = waitMs - Math.max(0, now - startedAt)
  return waitsFor !== undefined && leftMs > 0 ? { waitMs: leftMs, waitsFor } : {}
}
