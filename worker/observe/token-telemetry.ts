import type { ObservedFailure, TokenObserver } from '../../shared/identity/access-token-source.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import type { Failure } from '../../shared/job/failures.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { isUnavailable } from '../../shared/stores/job-store.ts'
import type { Instance, TelemetryStore, TokenFailure } from '../../shared/stores/telemetry-store.ts'
import type { Log } from './log.ts'

export interface TelemetryDependencies {
  readonly store: Pick<TelemetryStore, 'putTokenFailure'>
  readonly instance: Instance
  /** How long a document is kept after its last change, in milliseconds. */
  readonly ttlMs: number
  readonly now: Clock
  readonly newId: () => string
  readonly log: Log
}

/** Never rejects. What cannot be written is logged, and kept for a later try. */
export interface FailureTelemetry extends TokenObserver {
  /** A deployment denies this caller or is missing. `nextTryAt`: epoch milliseconds. */
  denied(deployment: string, failure: Failure, nextTryAt: number, tokenValidForMs: number): Promise<void>
  /** A deployment that denied this caller or was missing accepts requests again. */
  accessRestored(deployment: string): Promise<void>
  /** Writes what could not be written before. */
  flush(): Promise<void>
}

/** While the store is unavailable the latest documents are kept, at most this many. */
const MAX_KEPT = 100

type Observed = Omit<TokenFailure, 'id' | 'instance' | 'firstAt' | 'tries' | 'jobsHeld' | 'expireAt'>

/**
 * Writes one document for each episode of token failures and each kind of failure in it. It is written again at each try,
 * and at the recovery.
 */
export function createFailureTelemetry(dependencies: TelemetryDependencies): FailureTelemetry {
  const { store, instance, ttlMs, now, newId, log } = dependencies
  /** The current episodes, by subject and kind. */
  const open = new Map<string, Map<string, TokenFailure>>()
  const unwritten = new Map<string, TokenFailure>()
  let heldSince = 0
  let flushing: Promise<void> | undefined

  function keep(failure: TokenFailure): Promise<void> {
    // Last in the map, so that the oldest is first.
    unwritten.delete(failure.id)
    unwritten.set(failure.id, failure)
    const [oldest] = unwritten.keys()
    if (oldest !== undefined && unwritten.size > MAX_KEPT) unwritten.delete(oldest)
    return flush()
  }

  function flush(): Promise<void> {
    flushing ??= writeAll().finally(() => {
      flushing = undefined
    })
    return flushing
  }

  async function writeAll(): Promise<void> {
    for (;;) {
      const [failure] = unwritten.values()
      if (failure === undefined) return
      try {
        await store.putTokenFailure(failure)
      } catch (error) {
        log.warn({ error, unwritten: unwritten.size }, 'telemetry of token failures cannot be written now')
        if (isUnavailable(error)) return
      }
      if (unwritten.get(failure.id) === failure) unwritten.delete(failure.id)
    }
  }

  function failedAgain(about: string, observed: Observed, jobsHeld: number): Promise<void> {
    const episode = open.get(about) ?? new Map<string, TokenFailure>()
    open.set(about, episode)
    const before = episode.get(observed.kind) ?? { id: newId(), firstAt: observed.lastAt, tries: 0, jobsHeld: 0 }
    const failure: TokenFailure = {
      ...observed,
      id: before.id,
      instance,
      firstAt: before.firstAt,
      tries: before.tries + 1,
      jobsHeld: before.jobsHeld + jobsHeld,
      expireAt: observed.lastAt + ttlMs,
    }
    // Last in the map: jobs that are held from now on count for this kind.
    episode.delete(observed.kind)
    episode.set(observed.kind, failure)
    const { id: _, instance: __, expireAt: ___, message, ...fields } = failure
    const what = about === TOKEN ? 'no token for Azure' : about
    log.warn({ outcome: 'token_failure', problem: message, ...fields }, `${what}: ${message}`)
    return keep(failure)
  }

  async function recovered(about: string, jobsHeld: number): Promise<void> {
    const episode = open.get(about)
    if (episode === undefined) return
    open.delete(about)
    const resolvedAt = now()
    const failures = [...episode.values()].toReversed()
    const tries = failures.reduce((sum, failure) => sum + failure.tries, 0)
    log.info({ outcome: 'token_recovered', about, tries }, `recovered: ${about}`)
    const resolved = { lastAt: resolvedAt, resolvedAt, expireAt: resolvedAt + ttlMs }
    await Promise.all(
      failures.map((failure, age) =>
        keep({ ...failure, ...resolved, jobsHeld: failure.jobsHeld + (age === 0 ? jobsHeld : 0) }),
      ),
    )
  }

  function takeHeld(): number {
    const held = heldSince
    heldSince = 0
    return held
  }

  return {
    flush,
    held() {
      heldSince += 1
    },
    failed({ error, outage, tokenValidForMs }: ObservedFailure) {
      const { kind, nextTryAt } = outage
      return failedAgain(TOKEN, { ...describe(error), kind, lastAt: now(), nextTryAt, tokenValidForMs }, takeHeld())
    },
    recovered: () => recovered(TOKEN, takeHeld()),
    denied(deployment, failure, nextTryAt, tokenValidForMs) {
      const kind = 'configuration'
      return failedAgain(
        deployment,
        { ...describe(asTokenError(failure)), kind, deployment, lastAt: now(), nextTryAt, tokenValidForMs },
        0,
      )
    },
    accessRestored: (deployment) => recovered(deployment, 0),
  }
}

const TOKEN = 'the token'

function describe({ leg, message, details }: TokenError) {
  const { httpStatus, code, aadsts, correlationId, presented, hint = '' } = details
  return {
    leg,
    message,
    hint,
    ...defined({ httpStatus, code }),
    ...(aadsts !== undefined && { aadsts: [...aadsts] }),
    ...defined({ correlationId, presented }),
  }
}

/** Converts Azure's refusal of this caller or of its token. */
function asTokenError({ message, code, hint, httpStatus, requestId }: Failure): TokenError {
  return new TokenError('azure_refused', message, {
    ...defined({ code, hint, httpStatus, correlationId: requestId }),
  })
}
