import { createRandom } from '../../support/seeded-random.ts'
import { startInstances } from './instances.ts'
import type { Policy } from './policy.ts'
import { type Message, startPushes } from './push-subscription.ts'
import { startQuotaService } from './quota-service.ts'
import { createVirtualTime } from './virtual-time.ts'

export interface FleetRun {
  readonly policy: Policy
  readonly instances: number
  readonly jobs: number
  /** The limits of the deployment, for each minute. */
  readonly quota: { readonly rpm: number; readonly tpm: number }
  /** The mean of a job's tokens, as the provider charges them. */
  readonly meanTokens: number
  readonly refusedUseQuota: boolean
  /** The share of replies whose rate-limit headers are missing, -1, 0 or stale. */
  readonly faultyHeaders: number
  readonly seed: number
}

export interface FleetResult {
  /** Jobs that ended, with an answer or as dead letters. */
  readonly ended: number
  readonly deadLetters: number
  readonly missedDeadlines: number
  readonly drainMs: number
  /** Until all but the last hundredth of the jobs had ended. */
  readonly mostDrainMs: number
  /** Of the job that was delivered most often. */
  readonly mostDeliveries: number
  /** The time that the quota needs for all jobs at an even rate. */
  readonly idealMs: number
  readonly granted: number
  readonly refused: number
  readonly deliveries: number
}

const MAX_VIRTUAL_MS = 24 * 3_600_000
const START = Date.UTC(2026, 0, 1)

/** Drains a batch in virtual time. The same arguments give the same result. */
export function runFleet(asked: FleetRun): FleetResult {
  const { policy, instances, jobs, quota, meanTokens, refusedUseQuota, faultyHeaders, seed } = asked
  const random = createRandom(seed)
  const startedAt = START + random.whole(0, 59_999)
  const time = createVirtualTime(startedAt)
  const messages = Array.from({ length: jobs }, (): Message => {
    return { tokens: random.whole(meanTokens / 2, (meanTokens * 3) / 2), deliveries: 0 }
  })
  const limits = {
    ...{ requestsPerMinute: quota.rpm, tokensPerMinute: quota.tpm, minuteMs: 60_000 },
    ...{ refusedUseQuota, lowered: [], noCapacity: [] },
  }
  const service = startQuotaService(time, random.fork(), { limits, faultyHeaders })
  const push = startInstances(time, random.fork(), [service], { policy, instances, quota })
  const pushes = startPushes(time, messages, push)
  const endedNow = () => pushes.report().done + pushes.report().deadLetters
  time.run(() => endedNow() === jobs, startedAt + MAX_VIRTUAL_MS)
  const { deadLetters, missedDeadlines, deliveries } = pushes.report()
  const tokens = messages.reduce((sum, message) => sum + message.tokens, 0)
  const ends = messages.flatMap(({ endedAt }) => endedAt ?? []).toSorted((a, b) => a - b)
  return {
    ...{ ended: endedNow(), deadLetters, missedDeadlines, deliveries },
    drainMs: time.now() - startedAt,
    mostDrainMs: (ends[Math.floor(0.99 * ends.length)] ?? startedAt) - startedAt,
    mostDeliveries: Math.max(...messages.map((message) => message.deliveries)),
    idealMs: 60_000 * Math.max(jobs / quota.rpm, tokens / quota.tpm),
    ...service.calls,
  }
}
