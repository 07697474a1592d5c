import { describePace, firstPace, onReply, take } from '../../../../shared/models/pacing/governor.ts'
import type { Pace } from '../../../../shared/models/pacing/pace.ts'
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

function startInstance(
  { time, random, deployments }: InstanceParts,
  settings: Partial<InstanceParts['quota']>,
): InstancePolicy {
  const queue: Waiting[] = []
  const first = firstPace({ ...settings, settling: 'on-arrival' }, time.now())
  const paces = Array.from({ length: deployments }, () => first)
  let cancelTimer = (): void => undefined
  let queuedTokens = 0

  function pump(): void {
    cancelTimer()
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      const turn = takeFirst(head.job.estimate)
      const isLate = time.now() + turn.waitMs > head.until
      if (turn.deployment === undefined && !isLate) {
        cancelTimer = time.after(turn.waitMs, pump)
        return
      }
      queue.shift()
      queuedTokens -= head.job.estimate
      if (turn.deployment === undefined) head.job.answer('nacked')
      else send(head, turn.deployment)
    }
  }

  /** Takes from the first deployment that allows it, as the worker's admission does. */
  function takeFirst(tokens: number): { readonly deployment?: number; readonly waitMs: number } {
    let waitMs = Infinity
    for (const [deployment, pace] of paces.entries()) {
      const [next, turn] = take(pace, { tokens }, time.now(), random.next())
      paces[deployment] = next
      if (turn.kind === 'go') return { deployment, waitMs: 0 }
      waitMs = Math.min(waitMs, turn.forMs)
    }
    return { waitMs }
  }

  function send(waiting: Waiting, deployment: number): void {
    const sentAt = time.now()
    const onAnswer = (reply: ServiceReply) => {
      learn(deployment, waiting.job, reply, sentAt)
      if (reply.isRefused) enqueue(waiting, 'first')
      else waiting.job.answer('acked')
      pump()
    }
    waiting.job.send(onAnswer, deployment)
  }

  function learn(deployment: number, { estimate }: HeldJob, reply: ServiceReply, sentAt: number): void {
    const { isRefused, limit = 'quota', rateLimit, retryAfterMs } = reply
    const refusal = isRefused ? { refusal: { limit, retryAfterMs } } : {}
    const said = { need: { tokens: estimate }, sentAt, rateLimit, ...refusal }
    paces[deployment] = onReply(paces[deployment] ?? first, said, time.now(), random.next())
  }

  function enqueue(waiting: Waiting, place: 'first' | 'last'): void {
    queuedTokens += waiting.job.estimate
    if (place === 'first') queue.unshift(waiting)
    else queue.push(waiting)
  }

  function queueAt(pace: Pace): number {
    const { rate, pausedForMs } = describePace(pace, time.now())
    return pausedForMs + 60_000 * Math.max(queue.length / rate.rpm, queuedTokens / rate.tpm)
  }

  return {
    handle(job) {
      const queueMs = Math.min(...paces.map((pace) => queueAt(pace)))
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
