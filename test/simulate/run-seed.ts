import { createRandom } from '../support/seeded-random.ts'
import { say, startCluster } from './cluster.ts'
import type { Exercised } from './exercised.ts'
import { createFakeFirestore } from './fake-database.ts'
import { createPubSub } from './fake-pubsub.ts'
import { drawFaults } from './faults.ts'
import type { Breach } from './invariants.ts'
import { judgeEnd } from './judge-end.ts'
import { createMonitor } from './monitor.ts'
import { nameMessage, planPeople } from './people.ts'
import { isOver, readRecord } from './records.ts'
import { type Installation, TOPICS } from './sim-worker.ts'
import { installVirtualTime } from './virtual-timers.ts'
import { createWorld, type Happening, type Process } from './world.ts'

export interface SeedResult {
  readonly seed: number
  readonly breaches: readonly Breach[]
  readonly exercised: Exercised
  readonly history: readonly Happening[]
  /** The longest that a job took to end when nothing failed any more, in milliseconds. */
  readonly longestEndMs: number
}

const START = Date.UTC(2026, 10, 24, 6)
const MINUTE_MS = 60_000
/** A history that has not come to rest by then never will. */
const MAX_STEPS = 50_000
const MAX_HOURS = 24
const MAX_DELIVERIES = 6

/** Runs one history: the same seed is the same history, to the last line. */
export async function runSeed(seed: number): Promise<SeedResult> {
  const random = createRandom(seed)
  const world = createWorld(random, START)
  using _ = installVirtualTime(world)
  const exercised: Exercised = new Map()
  const faults = drawFaults(random, START)
  const parts = { world, faults, exercised }
  const firestore = createFakeFirestore(world.now, (after, before) => monitor.wrote(after, before))
  const processes = new Map<string, Process>()
  const monitor = createMonitor({ world, exercised, store: () => firestore, nameOf: nameMessage, processes, faults })
  const pubsub = createPubSub(parts, monitor.publishedTo)
  const onUnknown = random.chance(0.8) ? 'retry' : 'dead-letter'
  const hasSpare = random.chance(0.2)
  const installation: Installation = { ...parts, firestore, pubsub, monitor, processes, onUnknown, hasSpare }
  const cluster = startCluster(installation, random.whole(2, 3))
  pubsub.subscribe(TOPICS.jobs, {
    push: (push) => cluster.push(TOPICS.jobs, push),
    acknowledged: monitor.acknowledged,
    deadLetter: { topic: TOPICS.dead, maxDeliveries: MAX_DELIVERIES },
  })
  pubsub.subscribe(TOPICS.dead, { push: (push) => cluster.push(TOPICS.dead, push), acknowledged: () => undefined })
  const people = planPeople(installation)
  using __ = listenForRejections((error) => monitor.breach('no-fault-of-our-own', `nobody caught ${say(error)}`))
  sweepUntil(() => people.pending() === 0 && pubsub.outstanding() === 0 && isSettled(installation))

  for (let steps = 0; monitor.breaches.length === 0 && (await world.step()); steps += 1) {
    if (steps < MAX_STEPS && world.now() < START + MAX_HOURS * 60 * MINUTE_MS) continue
    monitor.breach('comes-to-rest', `after ${steps} steps and ${(world.now() - START) / MINUTE_MS} minutes it goes on`)
  }
  if (monitor.breaches.length === 0) judgeEnd(monitor, firestore, exercised)
  const { breaches, longestEndMs } = monitor
  return { seed, breaches, exercised, history: world.history, longestEndMs: longestEndMs() }

  /** As Cloud Scheduler does, though not every minute, until there is nothing that a sweep could do. */
  function sweepUntil(isOver: () => boolean): void {
    world.after(random.whole(1, 5) * MINUTE_MS, undefined, () => {
      if (isOver()) return
      cluster.sweep()
      sweepUntil(isOver)
    })
  }
}

/** Hears of what fails where nobody waits for it. */
function listenForRejections(heard: (error: unknown) => void): Disposable {
  process.on('unhandledRejection', heard)
  return { [Symbol.dispose]: () => void process.off('unhandledRejection', heard) }
}

/** Whether every record is settled, and every batch that was submitted whole is complete. */
function isSettled({ firestore }: Installation): boolean {
  return (
    firestore.documents('promptJobs').map(readRecord).every(isOver) &&
    firestore.documents('promptBatches').every(({ fields: { total, completedAt } }) => !total || completedAt)
  )
}
