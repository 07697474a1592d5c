import { spreadWait } from '../lib/retry-after.ts'
import type { FailureNature } from './token-error.ts'

/** A token for Azure and its lifetime. Times are epoch milliseconds. */
export interface AccessToken {
  readonly value: string
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** How an outage is classified. passing: it ends by itself. configuration: a person has to fix a setting. */
export type OutageKind = 'passing' | 'configuration'

/** A period without a fresh token, since the first failure. Times are epoch milliseconds. */
export interface Outage {
  readonly kind: OutageKind
  readonly firstAt: number
  readonly nextTryAt: number
  /** The number of failures of this kind in a row. */
  readonly failures: number
}

/** Whether a resource (the origin of an endpoint) accepts tokens, according to its last replies. */
interface Verdict {
  /** The value of the token that it accepted. Absent if it has refused one since. */
  readonly accepted?: string
  /** How often in a row it refused the current token. */
  readonly refusals: number
}

export interface TokenState {
  readonly token?: AccessToken
  /** The start of the fetch that is under way. */
  readonly fetchingSince?: number
  readonly outage?: Outage
  /** By resource. */
  readonly verdicts?: ReadonlyMap<string, Verdict>
}

/** A failed attempt to get a token. */
export interface FailedAttempt {
  readonly nature: FailureNature
  /** The wait that the service asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** 0 to 1, so that instances that failed together do not retry together. */
  readonly jitter: number
}

/** The action of a caller that needs a token. */
export type Decision =
  | { readonly kind: 'use'; readonly token: AccessToken }
  /** The token is valid. The fetch of the next one is background work of this caller's request. */
  | { readonly kind: 'renew'; readonly token: AccessToken }
  | { readonly kind: 'fetch' }
  | { readonly kind: 'join' }
  /** The next try is not due yet. */
  | { readonly kind: 'wait'; readonly forMs: number }

/** A token with less than this left may expire on its way to Azure. */
const MIN_VALID_MS = 30_000
/** The share of a token's life after which it is renewed. */
const RENEW_AFTER = 0.8
/** An older fetch counts as lost: Cloud Run stopped the processor, or the connection failed. */
export const ABANDON_FETCH_AFTER_MS = 12_000

/** The first wait and the longest, in milliseconds; each failure of a kind doubles the wait. */
const BACKOFF: Readonly<Record<OutageKind, { readonly firstMs: number; readonly longestMs: number }>> = {
  passing: { firstMs: 1_000, longestMs: 10_000 },
  configuration: { firstMs: 60_000, longestMs: 300_000 },
}
/** The longest wait, even if a service asks for more. */
const LONGEST_RETRY_AFTER_MS = 300_000
/** After so many refusals in a row, with a fresh token between them, the resource is at fault. */
const REFUSALS_IN_A_ROW = 2
/** A new federated credential takes minutes to reach all of Entra. */
const SPREADS_WITHIN_MS = 600_000

/** Decides the action of a caller that needs a token now. */
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

/** A token that no resource accepts may be invalid. It is renewed as often as the slowest circuit is probed. */
function renewalDueAt({ fetchedAt, expiresAt }: AccessToken, isRefused: boolean): number {
  const usualMs = RENEW_AFTER * (expiresAt - fetchedAt)
  return fetchedAt + (isRefused ? Math.min(usualMs, BACKOFF.configuration.longestMs) : usualMs)
}

export function onFetchBegun(state: TokenState, now: number): TokenState {
  return { ...state, fetchingSince: now }
}

/** A token was fetched, so an outage is over. The states of resources stay. */
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
 * A resource refused a token. The current token is dropped, with two exceptions: another resource accepted the same token,
 * or this resource refuses the second token in a row. Then the resource is at fault, and the others keep the token.
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

/** Whether a resource would refuse another token too. */
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

/** The remaining lifetime of a token in milliseconds. 0 without a token. */
export function validForMs(token: AccessToken | undefined, now: number): number {
  return token === undefined ? 0 : Math.max(0, token.expiresAt - now)
}

/** Full jitter: a random wait from 0 to a limit that doubles with each failure. Milliseconds. */
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
