import type { Invariant } from './invariants.ts'
import type { SeenRecord } from './records.ts'
import { MODEL_TIMEOUT_MS } from './settings.ts'
import type { Process } from './world.ts'

/** How long a process may wait after its clock was set back: the time by which it was set back, and a claim's time. */
const MAX_DELAY_MS = 15 * 60_000

export interface Send {
  /** `key.run.attempt`, as its sender names it. */
  readonly requestId: string
  readonly process: Process
  /** The deployment's own name. */
  readonly deployment: string
  /** The job's record as it stands. */
  readonly record: SeenRecord | undefined
  /** When the last push of the job that this process works on ends; undefined where it has none. Epoch milliseconds. */
  readonly pushEndsAt: number | undefined
  /** Whether the process has read that the job's batch is cancelled. */
  readonly isCancelled: boolean
  /** Epoch milliseconds of the world's time. */
  readonly now: number
}

/** Looks at one send of a job in the tick in which it leaves. */
export function judgeSend(send: Send, breach: (invariant: Invariant, what: string) => void): void {
  const { requestId, process, deployment, record, pushEndsAt = Number.NaN, isCancelled, now } = send
  const what = `${process.name} asks ${requestId}`
  // A time that a process measures by its own clock is longer than measured when the clock is set back.
  const isClockSetBack = process.clockSetBackAt >= now - MAX_DELAY_MS
  if (!isHeld(send)) breach('asked-under-lease', what)
  if (record?.waitsFor?.includes(deployment)) breach('waits', `${what} of ${deployment}`)
  if (isCancelled) breach('cancel-applied', `${what} of batch ${record?.batch}`)
  if (now + process.skewMs > (record?.deadline ?? Infinity)) breach('no-start-after-deadline', what)
  if (now + MODEL_TIMEOUT_MS > pushEndsAt && !isClockSetBack) breach('whole-model-time', what)
}

function isHeld({ requestId, process, record, now }: Send): boolean {
  const [, run, attempt] = requestId.split('.')
  const last = record?.attempts.at(-1)
  const isOurs =
    record?.status === 'running' &&
    record.run === Number(run) &&
    last?.n === Number(attempt) &&
    last.owner.startsWith(`${process.name}:`)
  return isOurs && now - record.writtenAt < (record.leaseMs ?? 0)
}
