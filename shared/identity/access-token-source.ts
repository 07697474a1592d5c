import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'
import {
  type AccessToken,
  decide,
  isRefusedEverywhere,
  isUsable,
  type Outage,
  onAccepted,
  onFetchBegun,
  onFetched,
  onFetchFailed,
  onRefused,
  refusesTokens,
  type TokenState,
  validForMs,
} from './renewal.ts'
import { type Diagnosis, TokenError } from './token-error.ts'

/** Keeps a request open until background work has ended: Cloud Run stops the processor between requests. The work never rejects. */
export type WaitUntil = (work: Promise<void>) => void

interface GetOptions {
  /** The caller does not wait beyond this, in epoch milliseconds. Absent: ten seconds from now. */
  readonly until?: number
  readonly waitUntil?: WaitUntil
}

/** Provides the access token that all jobs of an instance share. */
export interface AccessTokenSource {
  /**
   * Resolves with a token that is valid for at least 30 s. During an outage a caller waits if the next try is within ten
   * seconds. Rejects with TokenError, or with the signal's reason.
   */
  get(signal: AbortSignal, options?: GetOptions): Promise<AccessToken>
  /** Reports that a resource accepted this token. `resource`: the origin of its endpoint. */
  accepted(token: AccessToken, resource: string): void
  /**
   * Reports that a resource refused this token. A newer token is kept.
   *
   * Returns whether the resource is at fault, which means that it would refuse another token too.
   */
  refused(token: AccessToken, resource: string): boolean
  /** The state, for reports. */
  status(): TokenStatus
}

interface TokenStatus {
  /** none: no token was asked for yet. failing: the last try to get one failed, or every resource refuses it. */
  readonly state: 'none' | 'good' | 'failing'
  readonly validForMs: number
}

/** Is called when the token fails and when it recovers. The promises are background work and never reject. */
export interface TokenObserver {
  failed(failure: ObservedFailure): Promise<void>
  /** A job waited, or was deferred. */
  held(): void
  recovered(): Promise<void>
}

export interface ObservedFailure {
  /** The error, with the hint of its diagnosis. */
  readonly error: TokenError
  readonly outage: Outage
  /** How long the current token is still valid, in milliseconds. */
  readonly tokenValidForMs: number
}

export interface TokenSourceDependencies {
  /** Rejects with TokenError. */
  readonly fetchToken: () => Promise<AccessToken>
  readonly diagnose: (error: TokenError) => Diagnosis
  readonly now: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly observer?: TokenObserver
}

/** The longest wait for the next try. */
const MAX_HOLD_MS = 10_000

const NO_OBSERVER: TokenObserver = {
  failed: async () => undefined,
  held: () => undefined,
  recovered: async () => undefined,
}

const SHORT_LIVED = 'Entra gave a token that is about to expire'
const UNKNOWN = 'no token could be fetched, and the reason is unknown'

/**
 * Shares one token among all callers. Concurrent callers share one fetch.
 *
 * After 80 % of the token's lifetime, the renewal is background work of one caller's request, and all callers use the valid
 * token. There is no timer, because Cloud Run stops the processor between requests. A caller's signal does not end the
 * shared fetch. After a failure all callers wait for one next try, or are rejected if it is too far away.
 */
export function createAccessTokenSource(dependencies: TokenSourceDependencies): AccessTokenSource {
  const { fetchToken, diagnose, now, random, observer = NO_OBSERVER } = dependencies
  let state: TokenState = {}
  let flight = Promise.resolve()
  let lastError = new TokenError('entra_exchange', 'no token was asked for yet')

  /** Resolves as soon as the fetch has ended, with or without a token. What the observer does is background work. */
  function startFetch(waitUntil: WaitUntil | undefined): Promise<void> {
    let reporting: Promise<void> | undefined
    state = onFetchBegun(state, now())
    const mine: Promise<void> = fetchToken().then(
      (token) => {
        reporting = onToken(token)
      },
      (error: unknown) => {
        // The failure of an abandoned fetch changes nothing.
        if (flight === mine) reporting = onFailure(error)
      },
    )
    flight = mine
    waitUntil?.(mine.then(() => reporting))
    return mine
  }

  function onToken(token: AccessToken): Promise<void> | undefined {
    // A token that expires at once would cause an endless loop of fetches.
    if (!isUsable(token, now())) return onFailure(new TokenError('entra_exchange', SHORT_LIVED))
    const hadOutage = state.outage !== undefined
    state = onFetched(state, token)
    return hadOutage ? observer.recovered() : undefined
  }

  function onFailure(reason: unknown): Promise<void> {
    const error = reason instanceof TokenError ? reason : new TokenError('entra_exchange', UNKNOWN, {}, reason)
    const { nature, hint } = diagnose(error)
    const failed = onFetchFailed(state, { nature, retryAfterMs: error.details.retryAfterMs, jitter: random() }, now())
    state = failed
    lastError = new TokenError(error.leg, error.message, { ...error.details, hint }, error.cause)
    return observer.failed({
      error: lastError,
      outage: failed.outage,
      tokenValidForMs: validForMs(failed.token, now()),
    })
  }

  return {
    async get(signal, { until = now() + MAX_HOLD_MS, waitUntil } = {}) {
      for (let isHeld = false; ; ) {
        signal.throwIfAborted()
        const at = now()
        const decision = decide(state, at)
        switch (decision.kind) {
          case 'use':
            return decision.token
          case 'renew':
            // It never rejects. Only the response of this request waits for it.
            void startFetch(waitUntil)
            return decision.token
          case 'fetch':
            await untilAborted(startFetch(waitUntil), signal)
            break
          case 'join':
            await untilAborted(flight, signal)
            break
          case 'wait':
            if (!isHeld) observer.held()
            isHeld = true
            if (decision.forMs > MAX_HOLD_MS || at + decision.forMs > until) throw lastError
            // The signal's own reason is thrown above.
            await delay(decision.forMs, undefined, { signal }).catch(() => undefined)
        }
      }
    },
    accepted(token, resource) {
      state = onAccepted(state, token, resource)
    },
    refused(token, resource) {
      state = onRefused(state, token, resource)
      return refusesTokens(state, resource)
    },
    status() {
      const left = validForMs(state.token, now())
      const isFailing = state.outage !== undefined || isRefusedEverywhere(state)
      return { state: isFailing ? 'failing' : left > 0 ? 'good' : 'none', validForMs: left }
    },
  }
}

async function untilAborted(shared: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([shared, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
