import { spreadWait } from '../lib/retry-after.ts'
import type { FailureNature } from './token-error.ts'

/** A token for Azure and the time it is good for. Times are epoch milliseconds. */
export interface AccessToken {
  readonly value: string
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** How an outage is classified. passing: it ends by itself. configuration: a person has to fix a setting. */
export type OutageKind = 'passing' | 'configuration'

/** A time without a fresh token, from the first failure on. Times are epoch milliseconds. */
export interface Outage {
  readonly kind: OutageKind
  readonly firstAt: number
  readonly nextTryAt: number
  /** How many failures of this kind came in a row. */
  readonly failures: number
}

/** What a resource, which is the origin of an endpoint, last said of the tokens that it was sent. */
interface Verdict {
  /** The value of the token that it accepted; absent where it has refused one since. */
  readonly accepted?: string
  /** How often in a row it refused the token that was held. */
  readonly refusals: number
}

export interface TokenState {
  readonly token?: AccessToken
  /** When the fetch that is under way began. */
  readonly fetchingSince?: number
  readonly outage?: Outage
  /** By resource. */
  readonly verdicts?: ReadonlyMap<string, Verdict>
}

/** A failed attempt to get a token. */
export interface FailedAttempt {
  readonly nature: FailureNature
  /** As the service asked, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** 0 to 1, so that instances that failed together do not retry together. */
  readonly jitter: number
}

/** What a caller does that needs a token. */
export type Decision =
  | { readonly kind: 'use'; readonly token: AccessToken }
  /** The token is valid; the fetch of the next is background work of this caller's request. */
  | { readonly kind: 'renew'; readonly token: AccessToken }
  | { readonly kind: 'fetch' }
  | { readonly kind: 'join' }
  /** The next try is not due yet. */
  | { readonly kind: 'wait'; readonly forMs: number }

/** A token with less than this left may expire on its way to Azure. */
const MIN_VALID_MS = 30_000
/** The share of a token's life after which it is renewed. */
const RENEW_AFTER = 0.8
/** A fetch that is older has lost its answer: the processor was taken away, or its network is gone. */
export const ABANDON_FETCH_AFTER_MS = 12_000

/** The first wait and the longest, in milliseconds; each failure of a kind doubles the wait. */
const BACKOFF: Readonly<Record<OutageKind, { readonly firstMs: number; readonly longestMs: number }>> = {
  passing: { firstMs: 1_000, longestMs: 10_000 },
  configuration: { firstMs: 60_000, longestMs: 300_000 },
}
/** Whatever a service asks for, an instance looks again after this long. */
const LONGEST_RETRY_AFTER_MS = 300_000
/** After so many refusals in a row, with a fresh token between them, the resource is at fault. */
const REFUSALS_IN_A_ROW = 2
/** A federated credential that was just made takes minutes to reach all of Entra. */
const SPREADS_WITHIN_MS = 600_000

/** Decides what a caller does that needs a token now. */
export function decide(state: TokenState, now: number): Decision {
  const { token, fetchingSince, outage } = state
  const isFetching = fetchingSince !== undefined && now - fetchingSince < ABANDON_FETCH_AFTER_MS
  const waitMs = outage === undefined ? 0 : outage.nextTryAt - now
  if (token !== undefined && isUsable(token, now)) {
    const isDue = now >= renewalDueAt(token, isRefusedEverywhere(state))
    return { kind: isDue && !isFetching && waitMs <= 0 ? 'renew' : 'use', token }
  }
  if (isFetching) return { kind: 'join' }
  return waitMs <= 0 ? { kind: 'fetch' } : { kind: 'wait', forMs: waitMs }
}

/** A token that no resource accepts may be a bad one: it is renewed as often as the slowest circuit is probed. */
function renewalDueAt({ fetchedAt, expiresAt }: AccessToken, isRefused: boolean): number {
  const usualMs = RENEW_AFTER * (expiresAt - fetchedAt)
  return fetchedAt + (isRefused ? Math.min(usualMs, BACKOFF.configuration.longestMs) : usualMs)
}

export function onFetchBegun(state: TokenState, now: number): TokenState {
  return { ...state, fetchingSince: now }
}

/** A token was fetched: an outage is over. The verdicts of resources stay. */
export function onFetched({ verdicts }: TokenState, token: AccessToken): TokenState {
  return { token, ...(verdicts && { verdicts }) }
}

export function onFetchFailed(
  { fetchingSince: _, ...state }: TokenState,
  failedAttempt: FailedAttempt,
  now: number,
): TokenState & { readonly outage: Outage } {
  return { ...state, outage: extendOutage(state.outage, failedAttempt, now) }
}

/**
 * A resource refused a token. The one that is held is dropped, unless another resource accepted that very token, or this one
 * refuses the second in a row: then the resource is at fault, and the others go on with the token.
 */
export function onRefused(state: TokenState, refused: AccessToken, resource: string): TokenState {
  const { token, ...rest } = state
  if (token?.value !== refused.value) return state
  const refusals = (state.verdicts?.get(resource)?.refusals ?? 0) + 1
  const verdicts = new Map(state.verdicts).set(resource, { refusals })
  const isAccepted = [...verdicts.values()].some(({ accepted }) => accepted === refused.value)
  return isAccepted || refusals >= REFUSALS_IN_A_ROW ? { ...state, verdicts } : { ...rest, verdicts }
}

/** A resource accepted a token. */
export function onAccepted(state: TokenState, { value }: AccessToken, resource: string): TokenState {
  if (state.token?.value !== value || state.verdicts?.get(resource)?.accepted === value) return state
  return { ...state, verdicts: new Map(state.verdicts).set(resource, { accepted: value, refusals: 0 }) }
}

/** Whether a resource refuses tokens for a reason that no other token changes. */
export function refusesTokens({ verdicts }: TokenState, resource: string): boolean {
  return (verdicts?.get(resource)?.refusals ?? 0) >= REFUSALS_IN_A_ROW
}

/** Whether every resource that was sent a token refuses tokens. */
export function isRefusedEverywhere({ verdicts = new Map() }: TokenState): boolean {
  return verdicts.size > 0 && [...verdicts.values()].every(({ refusals }) => refusals >= REFUSALS_IN_A_ROW)
}

/** Whether a token reaches Azure before it expires. */
export function isUsable(token: AccessToken, now: number): boolean {
  return validForMs(token, now) >= MIN_VALID_MS
}

/** How long a token is still good, in milliseconds; 0 without one. */
export function validForMs(token: AccessToken | undefined, now: number): number {
  return token === undefined ? 0 : Math.max(0, token.expiresAt - now)
}

/** Full jitter: anything from no wait to twice the last one's limit. In milliseconds. */
export function backoffMs(kind: OutageKind, failuresBefore: number, jitter: number): number {
  const { firstMs, longestMs } = BACKOFF[kind]
  return Math.ceil(jitter * Math.min(longestMs, firstMs * 2 ** failuresBefore))
}

function extendOutage(before: Outage | undefined, failedAttempt: FailedAttempt, now: number): Outage {
  const firstAt = before?.firstAt ?? now
  const kind = kindOf(failedAttempt.nature, now - firstAt)
  const failuresBefore = before?.kind === kind ? before.failures : 0
  const { retryAfterMs, jitter } = failedAttempt
  const waitMs =
    retryAfterMs === undefined
      ? backoffMs(kind, failuresBefore, jitter)
      : spreadWait(Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS), jitter)
  return {
    kind,
    firstAt,
    nextTryAt: now + waitMs,
    failures: failuresBefore + 1,
  }
}

function kindOf(nature: FailureNature, outageMs: number): OutageKind {
  if (nature === 'passing' || (nature === 'spreading' && outageMs < SPREADS_WITHIN_MS)) return 'passing'
  return 'configuration'
}
