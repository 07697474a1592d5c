import { describePace, firstPace, onReply, take } from '../../../../shared/models/pacing/governor.ts'
import type { HeldJob, InstanceParts, InstancePolicy, Policy } from './policy.ts'
import type { ServiceReply } from './quota-service.ts'

/** What `worker/jobs/admit.ts` allows a job to wait. */
const MAX_HOLD_MS = 60_000

interface Waiting {
  readonly job: HeldJob
  /** The job is deferred at this time. Epoch milliseconds. */
  readonly until: number
}

/** The worker's own governor. `settings`: what the operator has set. */
export function governed(
  name: string,
  settings: (quota: InstanceParts['quota']) => Partial<InstanceParts['quota']>,
): Policy {
  return { name, start: (parts) => startInstance(parts, settings(parts.quota)) }
}

function startInstance({ time, random }: InstanceParts, settings: Partial<InstanceParts['quota']>): InstancePolicy {
  const queue: Waiting[] = []
  let pace = firstPace({ ...settings, settling: 'on-arrival' }, time.now())
  let cancelTimer = (): void => undefined
  let queuedTokens = 0

  function pump(): void {
    cancelTimer()
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      const { job, until } = head
      const [next, turn] = take(pace, { tokens: job.estimate }, time.now(), random.next())
      pace = next
      const isLate = time.now() + (turn.kind === 'wait' ? turn.forMs : 0) > until
      if (turn.kind === 'wait' && !isLate) {
        cancelTimer = time.after(turn.forMs, pump)
        return
      }
      queue.shift()
      queuedTokens -= job.estimate
      if (isLate) job.answer('nacked')
      else send(head)
    }
  }

  function send(waiting: Waiting): void {
    const sentAt = time.now()
    waiting.job.send((reply) => {
      learn(waiting.job, reply, sentAt)
      if (reply.isRefused) enqueue(waiting, 'first')
      else waiting.job.answer('acked')
      pump()
    })
  }

  function learn({ estimate }: HeldJob, { isRefused, rateLimit, retryAfterMs }: ServiceReply, sentAt: number): void {
    const refusal = isRefused ? { refusal: { limit: 'quota' as const, retryAfterMs } } : {}
    pace = onReply(pace, { need: { tokens: estimate }, sentAt, rateLimit, ...refusal }, time.now(), random.next())
  }

  function enqueue(waiting: Waiting, place: 'first' | 'last'): void {
    queuedTokens += waiting.job.estimate
    if (place === 'first') queue.unshift(waiting)
    else queue.push(waiting)
  }

  return {
    handle(job) {
      const { rate, pausedForMs } = describePace(pace, time.now())
      const queueMs = pausedForMs + 60_000 * Math.max(queue.length / rate.rpm, queuedTokens / rate.tpm)
      if (queueMs > MAX_HOLD_MS) return job.answer('nacked')
      enqueue({ job, until: time.now() + MAX_HOLD_MS }, 'last')
      pump()
    },
    drain() {
      cancelTimer()
      for (const { job } of queue.splice(0)) job.answer('nacked')
    },
  }
}
