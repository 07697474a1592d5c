import { z } from 'zod'
import { answerParent } from '../harness/answer-parent.ts'
import { concurrently } from '../harness/concurrently.ts'

/** A contestant's two ways with a job. `id` is unique to the job. */
export interface Contest {
  /** Claims and settles a new job. */
  readonly plain: (id: string) => Promise<void>
  /** Claims a job that is already settled. Absent where it is not measured. */
  readonly duplicate?: (id: string) => Promise<void>
}

/** `round` makes the jobs' ids unique; duplicates are of the plain jobs of the same round. */
const question = z.object({ kind: z.enum(['plain', 'duplicate']), jobs: z.int(), round: z.int() })

/** What one round took; milliseconds. */
export const roundAnswer = z.object({ jobs: z.int(), cpuMs: z.number(), wallMs: z.number() })

const CONCURRENCY = 64

/** Runs rounds as the bench asks for them, and returns the processor time that each took of this process. */
export function serveRounds(contest: Contest): void {
  answerParent(question, async ({ kind, jobs, round }) => {
    const work = contest[kind]
    if (work === undefined) throw new Error(`this contestant knows no ${kind} jobs`)
    let done = 0
    const startedAt = performance.now()
    const before = process.cpuUsage()
    await concurrently(jobs, CONCURRENCY, async (n) => {
      await work(`${process.pid}-${round}-${n}`)
      done += 1
    })
    const { user, system } = process.cpuUsage(before)
    return { jobs: done, cpuMs: (user + system) / 1_000, wallMs: performance.now() - startedAt }
  })
}

/** HOST:PORT of Firestore, for contestants to connect to. */
export function firestoreAddress(): string {
  return z.string().parse(process.env['FIRESTORE_EMULATOR_HOST'])
}
