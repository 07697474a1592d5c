import type { Log } from '../log.ts'
import { isUnavailable } from '../store/job-store.ts'
import type { Instance, TelemetryStore, TokenFailure } from '../store/telemetry-store.ts'
import type { SeenFailure, TokenWatch } from './access-token-source.ts'
import type { TokenError } from './token-error.ts'

export interface TelemetryParts {
  readonly store: Pick<TelemetryStore, 'putTokenFailure'>
  readonly instance: Instance
  /** How long a document is kept after its last change, in milliseconds. */
  readonly ttlMs: number
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
}

/** Nothing that this returns ever rejects: what cannot be written is kept, and the log has it. */
export interface FailureTelemetry extends TokenWatch {
  /** A deployment denies this caller or is missing, and will be asked again then (epoch milliseconds). */
  denied(deployment: string, error: TokenError, nextTryAt: number, tokenValidForMs: number): Promise<void>
  /** A deployment that could not be asked answers again. */
  letIn(deployment: string): Promise<void>
  /** Writes what could not be written before. */
  flush(): Promise<void>
}

/** While the store is away this many documents are kept, the latest. */
const MAX_KEPT = 100

type Seen = Omit<TokenFailure, 'id' | 'instance' | 'firstAt' | 'tries' | 'jobsHeld' | 'expireAt'>

/**
 * Writes a document for each episode of token failures and each kind of trouble in it, anew at each try, and once more
 * when it is mended.
 */
export function createFailureTelemetry(parts: TelemetryParts): FailureTelemetry {
  const { store, instance, ttlMs, now, newId, log } = parts
  /** The episodes that go on, by what they are about and their kind. */
  const open = new Map<string, Map<string, TokenFailure>>()
  const unwritten = new Map<string, TokenFailure>()
  let heldSince = 0
  let flushing: Promise<void> | undefined

  function keep(failure: TokenFailure): Promise<void> {
    // Put last, so that the oldest stands first.
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

  function worsened(about: string, seen: Seen, jobsHeld: number): Promise<void> {
    const episode = open.get(about) ?? new Map<string, TokenFailure>()
    open.set(about, episode)
    const before = episode.get(seen.kind) ?? { id: newId(), firstAt: seen.lastAt, tries: 0, jobsHeld: 0 }
    const failure: TokenFailure = {
      ...seen,
      id: before.id,
      instance,
      firstAt: before.firstAt,
      tries: before.tries + 1,
      jobsHeld: before.jobsHeld + jobsHeld,
      expireAt: seen.lastAt + ttlMs,
    }
    // Put last: the jobs that are held from now on are held by this one.
    episode.delete(seen.kind)
    episode.set(seen.kind, failure)
    const { id: _, instance: __, expireAt: ___, message, ...told } = failure
    const what = about === TOKEN ? 'no token for Azure' : about
    log.warn({ outcome: 'token_failure', problem: message, ...told }, `${what}: ${message}`)
    return keep(failure)
  }

  async function mended(about: string, jobsHeld: number): Promise<void> {
    const episode = open.get(about)
    if (episode === undefined) return
    open.delete(about)
    const resolvedAt = now()
    const failures = [...episode.values()].toReversed()
    const tries = failures.reduce((sum, failure) => sum + failure.tries, 0)
    log.info({ outcome: 'token_mended', about, tries }, `mended: ${about}`)
    const mend = { lastAt: resolvedAt, resolvedAt, expireAt: resolvedAt + ttlMs }
    await Promise.all(
      failures.map((failure, age) =>
        keep({ ...failure, ...mend, jobsHeld: failure.jobsHeld + (age === 0 ? jobsHeld : 0) }),
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
    failed({ error, outage, tokenValidForMs }: SeenFailure) {
      const { kind, nextTryAt } = outage
      return worsened(TOKEN, { ...describe(error), kind, lastAt: now(), nextTryAt, tokenValidForMs }, takeHeld())
    },
    healed: () => mended(TOKEN, takeHeld()),
    denied(deployment, error, nextTryAt, tokenValidForMs) {
      const kind = 'configuration'
      return worsened(
        deployment,
        { ...describe(error), kind, deployment, lastAt: now(), nextTryAt, tokenValidForMs },
        0,
      )
    },
    letIn: (deployment) => mended(deployment, 0),
  }
}

const TOKEN = 'the token'

function describe({ leg, message, details }: TokenError) {
  const { httpStatus, code, aadsts, correlationId, presented, hint = '' } = details
  return {
    leg,
    message,
    hint,
    ...(httpStatus !== undefined && { httpStatus }),
    ...(code !== undefined && { code }),
    ...(aadsts !== undefined && { aadsts: [...aadsts] }),
    ...(correlationId !== undefined && { correlationId }),
    ...(presented !== undefined && { presented }),
  }
}
