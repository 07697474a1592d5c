import type { AccessTokenSource, WaitUntil } from '../../shared/identity/access-token-source.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import type { Instance, TelemetryStore } from '../../shared/stores/telemetry-store.ts'
import type { Outcome } from '../delivery/outcome.ts'
import type { Log } from './log.ts'

export interface HeartbeatDependencies {
  readonly store: Pick<TelemetryStore, 'putInstance'>
  readonly instance: Instance
  readonly models: readonly string[]
  readonly tokens: Pick<AccessTokenSource, 'status'>
  readonly inFlight: () => number
  /** Writes what could not be written before. Never rejects. */
  readonly flush: () => Promise<void>
  readonly now: Clock
  readonly log: Log
}

/** Writes the state of an instance, at most once a minute and only while pushes arrive. */
export interface Heartbeat {
  /** Records that a push arrived. A heartbeat that is due becomes background work of this push. */
  pushed(waitUntil: WaitUntil): void
  answered(outcome: Outcome): void
  refusedPush(): void
}

const EVERY_MS = 60_000
const KEPT_MS = 86_400_000

export function createHeartbeat(dependencies: HeartbeatDependencies): Heartbeat {
  const { store, instance, models, tokens, inFlight, flush, now, log } = dependencies
  const startedAt = now()
  let beatAt = Number.NEGATIVE_INFINITY
  let refusedPushes = 0
  let counts = new Map<string, number>()

  async function beat(at: number): Promise<void> {
    const { state: token, validForMs: tokenValidForMs } = tokens.status()
    const state = { token, tokenValidForMs, models: [...models], inFlight: inFlight(), refusedPushes }
    const lastMinute = Object.fromEntries(counts)
    counts = new Map()
    try {
      await store.putInstance({ instance, startedAt, at, ...state, lastMinute, expireAt: at + KEPT_MS })
    } catch (error) {
      log.warn({ error }, 'the heartbeat cannot be written now')
    }
    await flush()
  }

  return {
    pushed(waitUntil) {
      const at = now()
      if (at - beatAt < EVERY_MS) return
      beatAt = at
      waitUntil(beat(at))
    },
    answered(outcome) {
      const name = outcome.done ? outcome.as : `retry_${outcome.failure.kind}`
      counts.set(name, (counts.get(name) ?? 0) + 1)
    },
    refusedPush() {
      refusedPushes += 1
    },
  }
}
