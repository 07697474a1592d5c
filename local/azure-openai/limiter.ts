import type { AzureErrorName } from '../fixtures/azure-errors.ts'
import { arrive, type DocumentedLimits, limitHeaders, type UsedQuota } from './documented-limits.ts'
import { charge, type QuotaWindow, quotaHeaders } from './quota.ts'

/** The limits of one deployment. */
interface DeploymentLimits {
  readonly name: string
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
}

interface Limited {
  /** Why the request is refused. */
  readonly error?: AzureErrorName
  /** What is said about the quota. */
  readonly headers: Readonly<Record<string, string>>
}

/** Charges the requests of a resource to the quotas of its deployments. */
export interface Limiter {
  /** `tokens`: the estimate of the request; `now`: epoch milliseconds. */
  arrive(deployment: DeploymentLimits, tokens: number, now: number): Limited
}

/** Fixed windows of a minute, of which a refused request uses nothing. */
export function createFixedWindows(minuteMs: number): Limiter {
  const windows = new Map<string, QuotaWindow>()
  return {
    arrive(deployment, tokens, now) {
      const quota = { ...deployment, minuteMs }
      const charged = charge(windows.get(deployment.name), quota, tokens, now)
      windows.set(deployment.name, charged.window)
      const headers = quotaHeaders(quota, charged)
      return charged.kind === 'granted' ? { headers } : { error: ERRORS[charged.exceeded], headers }
    },
  }
}

/** What happens to a deployment beside its quota. */
export type LimitEvents = Pick<DocumentedLimits, 'refusedUseQuota' | 'lowered' | 'noCapacity'>

/** The windows that Azure documents. `eventsOf` names what happens to a deployment. */
export function createDocumentedLimiter(minuteMs: number, eventsOf: (deployment: string) => LimitEvents): Limiter {
  const usedBy = new Map<string, UsedQuota>()
  return {
    arrive(deployment, tokens, now) {
      const limits = { ...deployment, minuteMs, ...eventsOf(deployment.name) }
      const arrival = arrive(usedBy.get(deployment.name), limits, tokens, now)
      usedBy.set(deployment.name, arrival.used)
      const headers = limitHeaders(arrival, limits, now)
      return arrival.verdict.kind === 'granted' ? { headers } : { error: ERRORS[arrival.verdict.reason], headers }
    },
  }
}

const ERRORS = {
  tokens: 'token_rate_limit',
  requests: 'call_rate_limit',
  capacity: 'peak_load',
} as const satisfies Record<string, AzureErrorName>
