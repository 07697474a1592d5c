import { nameOf as nameOfDeployment } from './model-windows.ts'
import type { Published } from './monitor.ts'
import { covers, type SeenLetter, type SeenRecord } from './records.ts'
import { GOOD, MAX_JOB_AGE_MS, OTHER } from './settings.ts'

/** Measures how long jobs take to end once nothing fails any more. */
export interface Liveness {
  published(message: Published): void
  settled(record: SeenRecord): void
  lettered(letter: SeenLetter): void
  /** Its message was acknowledged: a later run may have taken its place. */
  answered(message: Pick<Published, 'hash' | 'run'>): void
  /** The record of a job was edited by hand: the job may take until its age ends it. */
  edited(key: string): void
  /** The longest that a job took, in milliseconds. */
  longestMs(): number
}

/** Milliseconds after the last fault, or after its publish. */
export const ENDS_WITHIN_MS = 20 * 60_000

interface Open {
  readonly message: Published
  /** From when on nothing failed. Epoch milliseconds. */
  readonly since: number
}

/**
 * `overAt`: when the last fault of a deployment is over; Infinity: never, and its jobs end by their age. `late` hears of each
 * job that takes too long. Times are epoch milliseconds.
 */
export function createLiveness(
  now: () => number,
  overAt: (deployment: string) => number,
  late: (what: string) => void,
): Liveness {
  /** Until their first end; false afterwards. By hash and run. */
  const jobs = new Map<string, Open | false>()
  const editedJobs = new Set<string | undefined>()
  let longestMs = 0

  function waitsUntil({ key, model }: Published): number {
    if (editedJobs.has(key)) return now() + MAX_JOB_AGE_MS
    const at = overAt(nameOfDeployment(model === OTHER.model ? OTHER : GOOD))
    return Number.isFinite(at) ? at : now() + MAX_JOB_AGE_MS
  }

  function end(name: string, { message, since }: Open): void {
    jobs.set(name, false)
    const tookMs = now() - since
    longestMs = Math.max(longestMs, tookMs)
    if (tookMs > ENDS_WITHIN_MS) late(`${message.key ?? 'no job'} run ${message.run}: ${tookMs / 60_000} minutes`)
  }

  function endIfOpen(name: string): void {
    const job = jobs.get(name)
    if (job) end(name, job)
  }

  return {
    published(message) {
      const name = nameOf(message)
      if (!jobs.has(name)) jobs.set(name, { message, since: Math.max(now(), waitsUntil(message)) })
    },
    settled(record) {
      for (const [name, job] of jobs) {
        if (job && job.message.key === record.key && covers(record, job.message)) end(name, job)
      }
    },
    lettered: ({ data: { sha256: hash }, run }) => endIfOpen(nameOf({ hash, run })),
    answered: (message) => endIfOpen(nameOf(message)),
    edited(key) {
      editedJobs.add(key)
      const since = now() + MAX_JOB_AGE_MS
      for (const [name, job] of jobs) {
        if (job && job.message.key === key) jobs.set(name, { ...job, since: Math.max(job.since, since) })
      }
    },
    longestMs: () => longestMs,
  }
}

function nameOf({ hash, run }: Pick<Published, 'hash' | 'run'>): string {
  return `${hash} ${run}`
}
