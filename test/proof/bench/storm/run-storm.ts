import { type DocumentedLimits, effectiveLimits } from '../../../../local/azure-openai/documented-limits.ts'
import { createRandom } from '../../support/seeded-random.ts'
import { startInstances } from '../fleet/instances.ts'
import type { Policy } from '../fleet/policy.ts'
import { type Message, startPushes } from '../fleet/push-subscription.ts'
import { startQuotaService } from '../fleet/quota-service.ts'
import { createVirtualTime } from '../fleet/virtual-time.ts'

export interface StormRun {
  readonly policy: Policy
  readonly instances: number
  readonly jobs: number
  readonly meanTokens: number
  readonly faultyHeaders: number
  readonly seed: number
  /** The limits of each deployment, with what happens to it, for a storm that starts at a time. */
  readonly deployments: (startsAt: number) => readonly DocumentedLimits[]
}

export interface StormResult {
  readonly ended: number
  readonly deadLetters: number
  readonly missedDeadlines: number
  /** Tokens that were granted in the storm. */
  readonly grantedTokens: number
  /** Tokens that the limits allow in the storm at an even rate, while there is capacity. */
  readonly allowedTokens: number
  /** Calls in the storm. */
  readonly granted: number
  readonly refused: number
}

const STORM_MS = 5 * 60_000
const MAX_VIRTUAL_MS = 6 * 3_600_000
const START = Date.UTC(2026, 0, 1)

/** Works on a batch through a storm of five minutes, and to its end after it, in virtual time. */
export function runStorm({
  policy,
  instances,
  jobs,
  meanTokens,
  faultyHeaders,
  seed,
  deployments,
}: StormRun): StormResult {
  const random = createRandom(seed)
  const time = createVirtualTime(START)
  const limits = deployments(START)
  const messages = Array.from({ length: jobs }, (): Message => {
    return { tokens: random.whole(meanTokens / 2, (meanTokens * 3) / 2), deliveries: 0 }
  })
  const services = limits.map((each) => startQuotaService(time, random.fork(), { limits: each, faultyHeaders }))
  const [{ requestsPerMinute: rpm = 0, tokensPerMinute: tpm = 0 } = {}] = limits
  const push = startInstances(time, random.fork(), services, { policy, instances, quota: { rpm, tpm } })
  const pushes = startPushes(time, messages, push)
  const endedNow = () => pushes.report().done + pushes.report().deadLetters
  time.run(() => endedNow() === jobs, START + STORM_MS)
  const sum = (of: 'granted' | 'refused' | 'grantedTokens') =>
    services.reduce((total, { calls }) => total + calls[of], 0)
  const inStorm = { granted: sum('granted'), refused: sum('refused'), grantedTokens: sum('grantedTokens') }
  time.run(() => endedNow() === jobs, START + MAX_VIRTUAL_MS)
  const { deadLetters, missedDeadlines } = pushes.report()
  const allowedTokens = limits.reduce((total, each) => total + allowedBy(each), 0)
  return { ended: endedNow(), deadLetters, missedDeadlines, ...inStorm, allowedTokens }
}

function allowedBy(limits: DocumentedLimits): number {
  let tokens = 0
  for (let at = START; at < START + STORM_MS; at += 1_000) {
    const hasCapacity = !limits.noCapacity.some(({ from, until }) => from <= at && at < until)
    if (hasCapacity) tokens += effectiveLimits(limits, at).tokens / 60
  }
  return tokens
}
