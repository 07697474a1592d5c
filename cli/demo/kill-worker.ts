import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { untilEnded } from '../child-process.ts'
import { type LocalSystem, type LocalSystemOptions, startStandIns } from '../local-system.ts'

export interface KilledSystem extends LocalSystem {
  /** How often the worker was killed. */
  kills(): number
}

/** The first worker runs just long enough to have jobs under way. */
const FIRST_LIFE_MS = 1_000
/** Long enough to start jobs, and too short to finish all of them. Random, so that retries meet different moments. */
const SHORTEST_LIFE_MS = 2_000
const LONGEST_LIFE_MS = 7_000

/**
 * Starts a local system whose worker is killed every few seconds, even during a job, and started again, until it is stopped.
 *
 * Rejects as startLocalSystem does.
 */
export async function startKilledSystem(options: LocalSystemOptions, signal: AbortSignal): Promise<KilledSystem> {
  await using started = new AsyncDisposableStack()
  const { startWorker, ...standIns } = started.adopt(await startStandIns(options, signal), (own) => own.stop())
  const spared = new AbortController()
  const over = AbortSignal.any([signal, spared.signal])
  let worker = await startWorker(signal)
  let kills = 0

  async function killRepeatedly(): Promise<never> {
    for (;;) {
      const lifeMs = kills === 0 ? FIRST_LIFE_MS : randomInt(SHORTEST_LIFE_MS, LONGEST_LIFE_MS)
      await Promise.race([delay(lifeMs, undefined, { signal: over }), untilEnded(worker)])
      await worker.kill()
      kills += 1
      worker = await startWorker(over)
    }
  }

  const killing = killRepeatedly()
  const stopWorker = async () => {
    spared.abort()
    await killing.catch(() => undefined)
    await worker.stop()
  }
  started.defer(stopWorker)
  // After stopWorker the loop ends, which is not a failure.
  const failed = killing.catch((error: unknown) => (spared.signal.aborted ? forever() : Promise.reject(error)))
  const broken = Promise.race([standIns.broken, failed])
  broken.catch(() => undefined)
  const cleanups = started.move()
  return { ...standIns, broken, kills: () => kills, stopWorker, stop: () => cleanups.disposeAsync() }
}

function forever(): Promise<never> {
  return new Promise<never>(() => undefined)
}
