import { setTimeout as delay } from 'node:timers/promises'
import type { Diagnosis } from './failure-nature.ts'
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
import { TokenError } from './token-error.ts'

/** Takes work that a request has to carry: without one, Cloud Run stops the processor. It never rejects. */
export type WaitUntil = (work: Promise<void>) => void

interface TokenWish {
  /** Who wants it will not be held beyond this, in epoch milliseconds; ten seconds from now, when absent. */
  readonly until?: number
  readonly waitUntil?: WaitUntil
}

/** The one token that every job of an instance shares. */
export interface AccessTokenSource {
  /**
   * A token that is valid for at least 30 s. While none is to be had a caller is held, if the next try is within ten
   * seconds. Rejects with TokenError, or with the signal's reason.
   */
  get(signal: AbortSignal, wish?: TokenWish): Promise<AccessToken>
  /** Reports that a resource accepted this token. `resource`: the origin of its endpoint. */
  accepted(token: AccessToken, resource: string): void
  /**
   * Reports that a resource refused this token. A newer token is left alone.
   *
   * Returns whether the resource is at fault: it refuses tokens for a reason that no other token changes.
   */
  refused(token: AccessToken, resource: string): boolean
  /** How things stand, for reports. */
  status(): TokenStatus
}

interface TokenStatus {
  /** none: nobody asked yet. failing: the last try to get one failed, or every resource refuses it. */
  readonly state: 'none' | 'good' | 'failing'
  readonly validForMs: number
}

/** Hears of what goes wrong with the token, and of its mend. What it returns is carried by a request; it never rejects. */
export interface TokenWatch {
  failed(failure: SeenFailure): Promise<void>
  /** A job waited, or was put off. */
  held(): void
  healed(): Promise<void>
}

export interface SeenFailure {
  /** With the hint of its diagnosis. */
  readonly error: TokenError
  readonly outage: Outage
  /** How long the token that is held is still good, in milliseconds. */
  readonly tokenValidForMs: number
}

export interface TokenSourceParts {
  /** Rejects with TokenError. */
  readonly fetchToken: () => Promise<AccessToken>
  readonly diagnose: (error: TokenError) => Diagnosis
  /** Epoch milliseconds. */
  readonly now: () => number
  /** 0 to 1. */
  readonly random: () => number
  readonly watch?: TokenWatch
}

/** A next try that is further off is not waited for. */
const MAX_HOLD_MS = 10_000

const DEAF: TokenWatch = { failed: async () => undefined, held: () => undefined, healed: async () => undefined }

const SHORT_LIVED = 'Entra gave a token that is about to expire'
const UNKNOWN = 'no token could be had, for a reason that is not known'

/**
 * Shares one token among all callers and fetches it once, however many ask.
 *
 * From 80 % of its life on a caller's request carries the renewal while everyone uses the token that is still good;
 * there is no timer, for Cloud Run stops the processor between requests. No caller's signal ends the shared fetch. After
 * a failure all callers wait for one next try, or are turned away where that is too far off.
 */
export function createAccessTokenSource(parts: TokenSourceParts): AccessTokenSource {
  const { fetchToken, diagnose, now, random, watch = DEAF } = parts
  let state: TokenState = {}
  let flight = Promise.resolve()
  let lastError = new TokenError('entra_exchange', 'no token was asked for yet')

  /** Resolves as soon as it has ended, well or not; what is told of it is only carried. */
  function startFetch(waitUntil: WaitUntil | undefined): Promise<void> {
    let telling: Promise<void> | undefined
    state = onFetchBegun(state, now())
    const mine: Promise<void> = fetchToken().then(
      (token) => {
        telling = onToken(token)
      },
      (error: unknown) => {
        // One that was abandoned has nothing more to say.
        if (flight === mine) telling = onFailure(error)
      },
    )
    flight = mine
    waitUntil?.(mine.then(() => telling))
    return mine
  }

  function onToken(token: AccessToken): Promise<void> | undefined {
    // Asked for again and again, such a one would be fetched without an end.
    if (!isUsable(token, now())) return onFailure(new TokenError('entra_exchange', SHORT_LIVED))
    const isMended = state.outage !== undefined
    state = onFetched(state, token)
    return isMended ? watch.healed() : undefined
  }

  function onFailure(reason: unknown): Promise<void> {
    const error = reason instanceof TokenError ? reason : new TokenError('entra_exchange', UNKNOWN, {}, reason)
    const { nature, hint } = diagnose(error)
    const failed = onFetchFailed(state, { nature, retryAfterMs: error.details.retryAfterMs, jitter: random() }, now())
    state = failed
    lastError = new TokenError(error.leg, error.message, { ...error.details, hint }, error.cause)
    return watch.failed({ error: lastError, outage: failed.outage, tokenValidForMs: validForMs(failed.token, now()) })
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
            // It never rejects, and nobody waits for it but the answer of the request that carries it.
            void startFetch(waitUntil)
            return decision.token
          case 'fetch':
            await untilAborted(startFetch(waitUntil), signal)
            break
          case 'join':
            await untilAborted(flight, signal)
            break
          case 'wait':
            if (!isHeld) watch.held()
            isHeld = true
            if (decision.forMs > MAX_HOLD_MS || at + decision.forMs > until) throw lastError
            // An abort is told as the signal tells it.
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
