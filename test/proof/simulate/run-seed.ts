import { createRandom } from '../support/seeded-random.ts'
import { say, startCluster } from './cluster.ts'
import { planEdits } from './editor.ts'
import type { Exercised } from './exercised.ts'
import { createFakeFirestore } from './fake-database.ts'
import { createPubSub } from './fake-pubsub.ts'
import { drawFaults } from './faults.ts'
import type { Breach } from './invariants.ts'
import { createBatchJudge } from './judge-batches.ts'
import { judgeEnd } from './judge-end.ts'
import { createMonitor } from './monitor.ts'
import { nameMessage, planPeople } from './people.ts'
import { isUnderWay, readRecord } from './records.ts'
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
const MAX_HOURS = 30
/** A batch that cannot be completed ends a day later than a job can be old. */
const BATCHES_END_AFTER_MS = 28 * 60 * MINUTE_MS
const MAX_DELIVERIES = 6

/** Runs one history: the same seed is the same history, to the last line. */
export async function runSeed(seed: number): Promise<SeedResult> {
  const random = createRandom(seed)
  const world = createWorld(random, START)
  using _ = installVirtualTime(world)
  const exercised: Exercised = new Map()
  const faults = drawFaults(random, START)
  const parts = { world, faults, exercised }
  const firestore = createFakeFirestore(world.now, (...written) => monitor.wrote(...written))
  const processes = new Map<string, Process>()
  const monitor = createMonitor({ world, exercised, store: () => firestore, nameOf: nameMessage, processes, faults })
  const pubsub = createPubSub(parts, monitor.publishedTo)
  const onUnknown = random.chance(0.8) ? 'retry' : 'dead-letter'
  const hasSpare = random.chance(0.4)
  const installation: Installation = { ...parts, firestore, pubsub, monitor, processes, onUnknown, hasSpare }
  const cluster = startCluster(installation, random.whole(2, 3))
  pubsub.subscribe(TOPICS.jobs, {
    push: (push) => cluster.push(TOPICS.jobs, push),
    acknowledged: monitor.acknowledged,
    deadLetter: { topic: TOPICS.dead, maxDeliveries: MAX_DELIVERIES },
  })
  pubsub.subscribe(TOPICS.dead, {
    push: (push) => cluster.push(TOPICS.dead, push),
    acknowledged: monitor.forwardedEnded,
  })
  const people = planPeople(installation)
  planEdits(installation)
  const batches = createBatchJudge(installation)
  using __ = listenForRejections((error) => monitor.breach('no-fault-of-our-own', `unhandled rejection: ${say(error)}`))
  sweepWhile(() => {
    if (people.pending() > 0 || pubsub.outstanding() > 0 || !isSettled(installation)) return 'often'
    if (batches.areEnded() || world.now() > START + BATCHES_END_AFTER_MS) return 'no more'
    return batches.areHopeless() ? 'seldom' : 'often'
  })

  for (let steps = 0; monitor.breaches.length === 0 && (await world.step()); steps += 1) {
    if (steps < MAX_STEPS && world.now() < START + MAX_HOURS * 60 * MINUTE_MS) continue
    monitor.breach('comes-to-rest', `after ${steps} steps and ${(world.now() - START) / MINUTE_MS} minutes it goes on`)
  }
  if (monitor.breaches.length === 0) judgeEnd(monitor, firestore, exercised)
  const { breaches, longestEndMs } = monitor
  return { seed, breaches, exercised, history: world.history, longestEndMs: longestEndMs() }

  /** As Cloud Scheduler does, though not every minute, until there is nothing that a sweep could do. */
  function sweepWhile(howOften: () => 'often' | 'seldom' | 'no more'): void {
    const [from, to] = howOften() === 'seldom' ? [30, 90] : [1, 5]
    world.after(random.whole(from, to) * MINUTE_MS, undefined, () => {
      if (howOften() === 'no more') return
      batches.judge()
      cluster.sweep()
      sweepWhile(howOften)
    })
  }
}

/** Listens for unhandled rejections. */
function listenForRejections(heard: (error: unknown) => void): Disposable {
  process.on('unhandledRejection', heard)
  return { [Symbol.dispose]: () => void process.off('unhandledRejection', heard) }
}

function isSettled({ firestore }: Installation): boolean {
  return !firestore.documents('promptJobs').map(readRecord).some(isUnderWay)
}
