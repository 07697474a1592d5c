import type { WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Failure } from '../../shared/job/failures.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { priorityOf } from '../../shared/job/priority.ts'
import { usableMs } from '../../shared/job/push-time.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { mostAnswerBytes } from '../../shared/models/job-answer.ts'
import type { PublishDeadLetter } from '../dead-letters/keep.ts'
import type { Reservation } from '../delivery/bytes-in-flight.ts'
import type { DeliveredJob, ParsedDelivery } from '../delivery/delivery.ts'
import { storeFailure } from '../delivery/failures.ts'
import type { Outcome } from '../delivery/outcome.ts'
import { createSlots } from '../limits/slots.ts'
import { type JobDependencies, processJob } from './process-job.ts'

export interface ReceiveDependencies {
  readonly jobs: JobDependencies
  readonly ackDeadlineMs: number
  readonly maxInFlight: number
}

export interface Receiver {
  /**
   * Processes one delivery. `waitUntil` adds background work that the response waits for. `room`: the push's reservation,
   * which also reserves room for the model's answer. Rejects only with an internal error.
   */
  receive(read: ParsedDelivery, waitUntil: WaitUntil, room: Pick<Reservation, 'takeAnswer'>): Promise<Outcome>
  /** How many jobs are under way. */
  inFlight(): number
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

const FULL: Failure = { kind: 'busy', message: 'this instance has MAX_IN_FLIGHT jobs under way' }
const NOT_ITS_TURN: Failure = {
  kind: 'busy',
  code: 'not_its_turn',
  message: 'the free slots of this instance are for more urgent jobs, or for another batch that waits',
}
const NO_ROOM: Failure = { kind: 'busy', message: 'MAX_IN_FLIGHT_BYTES has no room for the answer this job may get' }

/** Whether a delivery was deferred only because this instance is full now. */
export function isFull(outcome: Outcome): boolean {
  return !outcome.done && (outcome.failure === FULL || outcome.failure === NO_ROOM)
}

/** Poison is dead-lettered, a duplicate joins the job under way, and a full instance defers the job. */
export function createReceiver({ jobs, ackDeadlineMs, maxInFlight }: ReceiveDependencies): Receiver {
  const underWay = new Map<string, Promise<Outcome>>()
  const slots = createSlots(maxInFlight, jobs.admit.now)

  function run(delivered: DeliveredJob, room: Pick<Reservation, 'takeAnswer'>): Promise<Outcome> {
    const { key, run, payloadHash } = delivered.job
    const name = `${key} ${run} ${payloadHash}`
    const joined = underWay.get(name)
    if (joined !== undefined)
      return joined.then((outcome) => ({ ...outcome, logFields: { ...outcome.logFields, joined: true } }))
    const { job, message } = delivered
    const slot = slots.take({ priority: priorityOf(message.attributes), batch: job.batch })
    if (slot.kind !== 'taken') return Promise.resolve(deferred(delivered, slot.kind === 'full' ? FULL : NOT_ITS_TURN))
    if (!room.takeAnswer(mostAnswerBytes(job))) {
      slot.leave()
      return Promise.resolve(deferred(delivered, NO_ROOM))
    }
    const started = processJob(jobs, delivered).finally(() => {
      slot.leave()
      underWay.delete(name)
    })
    underWay.set(name, started)
    return started
  }

  return {
    async receive(read, waitUntil, room) {
      const { data, attributes, arrivedAt, publishedAt = arrivedAt } = read.delivery
      const message = { data, attributes }
      const parsed = read.ok ? parseJob(data, attributes, sha256) : read
      if (!parsed.ok) return poison(jobs.run.settle.deadLetter, message, parsed.problem)
      const deadline = arrivedAt + usableMs(ackDeadlineMs)
      return run({ job: parsed.job, message, publishedAt: Math.min(publishedAt, arrivedAt), deadline, waitUntil }, room)
    },
    inFlight: () => underWay.size,
    async idle() {
      while (underWay.size > 0) await Promise.allSettled(underWay.values())
    },
  }
}

async function poison(
  deadLetter: PublishDeadLetter,
  message: DeliveredJob['message'],
  problem: string,
): Promise<Outcome> {
  try {
    await deadLetter(message, { reason: 'invalid', message: problem })
    return { done: true, as: 'poison', why: problem, logFields: {} }
  } catch (error) {
    const failure = storeFailure(error)
    if (failure === undefined) throw error
    return { done: false, failure, logFields: {} }
  }
}

function deferred({ job: { key, id, batch, run } }: Pick<DeliveredJob, 'job'>, failure: Failure): Outcome {
  return { done: false, failure, logFields: { jobKey: key, jobId: id, batch, run } }
}
