import { ENDS_WITHIN_MS } from './liveness.ts'

/** What must hold whatever happens, by the name under which a breach is reported. docs/reliability.md lists them as well. */
export const invariants = {
  'ack-after-record': 'a message is acknowledged only when its job’s end, or its dead letter, is durable',
  'one-result': 'a run has one end, and nothing overwrites it',
  'whole-answer': 'an answer that is kept in parts has all of them when its record says so',
  'runs-in-order': 'a run begins as the first of its job, or as the next after one that ended without an answer',
  'live-lease': 'who holds a lease keeps the job until it is over; a sweep waits a minute longer',
  'asked-under-lease': 'only the worker that holds the job’s lease asks the model',
  'paid-once':
    'sends of a run that were billed, or may have been, are at most one more than its attempts of unknown outcome',
  'one-billed-send': 'an attempt sends nothing more once a send of it was billed, or may have been, to any deployment',
  'every-message-ends': 'every message ends in a record that is settled, or in a dead letter with a reason',
  'published-at-least-once': 'every end of a run is published as an event, and every dead letter is kept',
  'published-after-settle': 'an event of a job is published after its record is settled',
  'no-idle-rescue': 'what has ended is not published again',
  'cancel-applied': 'a worker that knows of a batch’s cancel asks for none of its jobs',
  'one-write-at-a-time': 'two writes to one document are never under way together in one process',
  'lost-reply-is-free': 'one lost reply of the store costs a job no attempt: the worker that claimed it goes on',
  'attempts-bounded': 'a run has at most MAX_ATTEMPTS attempts that count',
  'timeouts-bounded': 'a run has at most two attempts that our own time limit ended',
  'outage-kills-none': 'no job runs out of attempts by a provider that answers that it is unavailable',
  'missing-waits': 'a job ends for a missing deployment only when that has been missing for ten minutes',
  'good-resource-flows': 'no token is replaced because a resource refuses it that refuses any, or that another accepts',
  waits: 'no attempt begins before the wait is over that its record has, but for a deployment that is not waited for',
  'no-start-after-deadline': 'no job is sent after its deadline',
  'whole-model-time': 'the model is asked only while the push leaves it the whole of its time',
  'paid-answer-kept': 'an answer in hand is written unless another attempt has begun',
  'unreadable-ends-by-age': 'a job whose record cannot be read ends by its age, and by nothing else',
  'slow-batch-stops-none': 'a batch ends within 20 minutes although another one takes too long to be counted',
  'batch-completes':
    'a batch is published as complete when every job of it is settled, and as incomplete when it lacks a job',
  'no-fault-of-our-own': 'no delivery and no sweep ends in an unexpected error',
  'ends-in-time': `once nothing fails any more, a job ends within ${ENDS_WITHIN_MS / 60_000} minutes`,
  'comes-to-rest': 'once nothing fails any more, all of it ends: nothing goes on for ever',
} as const
export type Invariant = keyof typeof invariants

export const invariantNames = Object.keys(invariants).filter((name): name is Invariant => name in invariants)

export interface Breach {
  readonly invariant: Invariant
  readonly what: string
}
