import { spreadWait } from '../retry-after.ts'
import type { FailureNature } from './failure-nature.ts'

/** A token for Azure and the time it is good for. Times are epoch milliseconds. */
export interface AccessToken {
  readonly value: string
  readonly fetchedAt: number
  readonly expiresAt: number
}

/** What an outage is taken for: it ends by itself, or somebody has to mend something. */
export type OutageKind = 'passing' | 'configuration'

/** A time without a fresh token, from the first failure on. Times are epoch milliseconds. */
export interface Outage {
  readonly kind: OutageKind
  readonly firstAt: number
  readonly nextTryAt: number
  /** How many failures of this kind came in a row. */
  readonly failures: number
  /** Tokens can be had, and Azure takes none of them. */
  readonly isRefusal: boolean
}

export interface TokenState {
  readonly token?: AccessToken
  /** When the fetch that is under way began. */
  readonly fetchingSince?: number
  /** Azure refused the forerunner of the token that is held or being fetched, and has not taken this one yet. */
  readonly isOnTrial?: true
  readonly outage?: Outage
}

/** A failure to get a token, or to have it taken. */
export interface Setback {
  readonly nature: FailureNature
  /** As the service asked, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** 0 to 1: so that instances that failed together do not all come back together. */
  readonly jitter: number
}

/** What a caller does who wants a token. */
export type Decision =
  | { readonly kind: 'use'; readonly token: AccessToken }
  /** The token is good; this caller's request carries the fetch of the next. */
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
/** A federated credential that was just made takes minutes to reach all of Entra. */
const SPREADS_WITHIN_MS = 600_000

/** Decides what a caller does who wants a token now. */
export function decide({ token, fetchingSince, outage }: TokenState, now: number): Decision {
  const isFetching = fetchingSince !== undefined && now - fetchingSince < ABANDON_FETCH_AFTER_MS
  const waitMs = outage === undefined ? 0 : outage.nextTryAt - now
  if (token !== undefined && isUsable(token, now)) {
    const renewAt = token.fetchedAt + RENEW_AFTER * (token.expiresAt - token.fetchedAt)
    return { kind: now >= renewAt && !isFetching && waitMs <= 0 ? 'renew' : 'use', token }
  }
  if (isFetching) return { kind: 'join' }
  return waitMs <= 0 ? { kind: 'fetch' } : { kind: 'wait', forMs: waitMs }
}

export function onFetchBegun(state: TokenState, now: number): TokenState {
  return { ...state, fetchingSince: now }
}

/** A token came. An outage is over, but for one in which Azure takes none: that shows when the token is used. */
export function onFetched({ isOnTrial, outage }: TokenState, token: AccessToken): TokenState {
  return {
    token,
    ...(isOnTrial && { isOnTrial }),
    ...(outage?.isRefusal && { outage }),
  }
}

export function onFetchFailed({ fetchingSince: _, ...state }: TokenState, setback: Setback, now: number): TokenState {
  return { ...state, outage: worsen(state.outage, setback, now, false) }
}

/**
 * Azure refused a token. The one that is held is dropped, to be replaced once; one that replaced a refused token is not
 * replaced at once, for the token is not what is wrong.
 */
export function onRefused(state: TokenState, refused: AccessToken, setback: Setback, now: number): TokenState {
  const { token, isOnTrial, outage, ...rest } = state
  if (token?.value !== refused.value) return state
  if (!isOnTrial) return { ...rest, isOnTrial: true, ...(outage && { outage }) }
  return { ...rest, isOnTrial, outage: worsen(outage, { ...setback, nature: 'configuration' }, now, true) }
}

/** Azure took a token. */
export function onAccepted(state: TokenState, accepted: AccessToken): TokenState {
  const { isOnTrial, outage, ...rest } = state
  if (rest.token?.value !== accepted.value || (!isOnTrial && !outage?.isRefusal)) return state
  return outage === undefined || outage.isRefusal ? rest : { ...rest, outage }
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

function worsen(before: Outage | undefined, setback: Setback, now: number, isRefusal: boolean): Outage {
  const firstAt = before?.firstAt ?? now
  const kind = kindOf(setback.nature, now - firstAt)
  const failuresBefore = before?.kind === kind ? before.failures : 0
  const { retryAfterMs, jitter } = setback
  const waitMs =
    retryAfterMs === undefined
      ? backoffMs(kind, failuresBefore, jitter)
      : spreadWait(Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS), jitter)
  return {
    kind,
    firstAt,
    nextTryAt: now + waitMs,
    failures: failuresBefore + 1,
    isRefusal: isRefusal || before?.isRefusal === true,
  }
}

function kindOf(nature: FailureNature, outageMs: number): OutageKind {
  if (nature === 'passing' || (nature === 'spreading' && outageMs < SPREADS_WITHIN_MS)) return 'passing'
  return 'configuration'
}
