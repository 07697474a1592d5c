import { setTimeout as delay } from 'node:timers/promises'
import { createRandom } from '../support/seeded-random.ts'
import { type Backend, type BackendOptions, TOPICS } from './backend.ts'
import { createCommands } from './commands.ts'
import { openEmulatorBackend } from './emulator-backend.ts'
import type { StoreKind } from './faults.ts'
import { type Feed, startFeed } from './feed.ts'
import { gather, gatherCalls } from './gather.ts'
import { type Inflicting, inflict, lift } from './inflict.ts'
import type { PlannedFault } from './plan.ts'
import { countEvidence, type Report } from './report.ts'
import { judge } from './rules.ts'
import { openSqliteBackend } from './sqlite-backend.ts'
import { type Stage, setStage } from './stage.ts'
import { type Sweeps, startSweeps } from './sweeps.ts'
import { shortfalls, tally } from './tally.ts'

export interface ChaosRun {
  readonly plan: readonly PlannedFault[]
  readonly seed: number
  readonly store: StoreKind
  readonly workers: number
  readonly durationMs: number
  /** Of the store, the certificate and the logs. */
  readonly folder: string
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Hears what is being done, a line at a time. */
  readonly print: (line: string) => void
  readonly signal: AbortSignal
}

const BACKENDS: Readonly<Record<StoreKind, (options: BackendOptions) => Promise<Backend>>> = {
  sqlite: openSqliteBackend,
  emulators: openEmulatorBackend,
}

/** A token is asked for as often, so that every fault that was placed finds something to strike. */
const STRIKE_WITHIN_MS = 180_000
/** For what never comes to rest: a busy machine takes longer, and is no breach. */
const REST_WITHIN_MS = 300_000
const LOOK_EVERY_MS = 250
const PRINT_EVERY_MS = 10_000
const FEED_PAUSE_MS = 1_000

/**
 * Breaks what can be broken as planned while jobs come in, lifts all faults, waits until all is at rest, and judges what is
 * left. Rejects with the reason of `signal`, and where the stage itself fails.
 */
export async function runChaos(run: ChaosRun): Promise<Report> {
  const { workers, now, print } = run
  await using open = new AsyncDisposableStack()
  const scene = await openScene(run, open)
  const { stage, feed, sweeps } = scene
  print(`${workers} workers take jobs`)

  const beganAt = now()
  const performed = await perform(run, beganAt, scene)
  await untilStruck(run, stage)
  await lift(stage)
  // As after a fix: a circuit that opened for minutes closes with its process.
  await Promise.all(stage.urls.map((_, worker) => stage.crew.drain(worker)))
  await feed.stop()
  print(`the faults are lifted; ${feed.sent.length} messages were sent, and what is left comes to rest`)

  const liftedAt = now()
  const isAtRest = await untilAtRest(run, scene)
  const restedAfterMs = isAtRest ? now() - liftedAt : undefined
  await sweeps.stop()
  await stage.crew.end()
  // Awaited: the stage is taken down when this function is left.
  return await drawUp(run, scene, performed, { faultsLastedMs: liftedAt - beganAt, restedAfterMs })
}

interface Scene extends Inflicting {
  readonly backend: Backend
  readonly stage: Stage
  readonly feed: Feed
  readonly sweeps: Sweeps
}

/** Sets the stage, and lets jobs come in. `open` takes what is to be closed. */
async function openScene(run: ChaosRun, open: AsyncDisposableStack): Promise<Scene> {
  const { seed, store, workers, folder, now, signal } = run
  const backend = open.use(await BACKENDS[store]({ folder, workers, now }))
  const stage = open.use(await setStage({ folder, backend, workers, now, signal }))
  const { PATH = '', HOME = '' } = process.env
  const environment = { PATH, HOME, ...backend.commandEnvironment, JOBS_TOPIC: TOPICS.jobs }
  const feeding = { stores: backend.stores, topic: TOPICS.jobs, random: createRandom(seed + 1), now }
  const pace = { acked: stage.progress.acked, most: backend.most, pauseMs: FEED_PAUSE_MS }
  const feed = startFeed({ ...feeding, ...pace }, signal)
  open.defer(() => feed.stop().catch(() => undefined))
  const sweeps = startSweeps(stage.urls, stage.token, signal)
  open.defer(() => sweeps.stop())
  return { backend, stage, feed, sweeps, command: createCommands(folder, environment, signal), signal }
}

async function drawUp(
  { plan, seed, store, workers }: ChaosRun,
  { backend, stage, feed, sweeps }: Scene,
  { inflicted, replays }: Performed,
  times: Pick<Report, 'faultsLastedMs' | 'restedAfterMs'>,
): Promise<Report> {
  const evidence = await gather(backend, feed, stage)
  const { pushes } = evidence
  const faults = tally({ plan, inflicted, calls: await gatherCalls(stage), pushes })
  const unrest = { rule: 'all comes to rest', what: `not within ${REST_WITHIN_MS / 1_000} s` }
  return {
    ...{ seed, store, workers, ...times },
    ...countEvidence(evidence, replays),
    ...{ replays, sweeps: sweeps.done(), faults, shortfalls: shortfalls(faults) },
    breaches: [...judge(evidence), ...(times.restedAfterMs === undefined ? [unrest] : [])],
  }
}

interface Performed {
  readonly inflicted: ReadonlySet<string>
  readonly replays: number
}

/** Lets each fault of the plan happen when its time has come, whatever the others are doing. */
async function perform(
  { plan, now, durationMs, signal, print }: ChaosRun,
  beganAt: number,
  inflicting: Inflicting,
): Promise<Performed> {
  const inflicted = new Set<string>()
  const underWay: Promise<number>[] = []
  for (const planned of plan) {
    await delay(Math.max(0, beganAt + planned.atMs - now()), undefined, { signal })
    const { fault, name, worker } = planned
    print(`${name}: ${fault.on} ${fault.kind}${fault.on === 'worker' ? `, worker ${worker}` : ''}`)
    const done = inflict(inflicting, planned).then((replays) => {
      inflicted.add(name)
      return replays
    })
    done.catch(() => undefined)
    underWay.push(done)
  }
  await delay(Math.max(0, beganAt + durationMs - now()), undefined, { signal })
  const replays = await Promise.all(underWay)
  return { inflicted, replays: replays.reduce((sum, count) => sum + count, 0) }
}

/** Waits a little longer for the faults that were placed and have not taken effect yet. */
async function untilStruck({ plan, now, signal }: ChaosRun, stage: Stage): Promise<void> {
  const scripted = plan.filter(({ fault }) => 'scripts' in fault)
  const until = now() + STRIKE_WITHIN_MS
  while (now() < until) {
    const struck = new Set((await gatherCalls(stage)).map(({ detail }) => detail['fault']))
    if (scripted.every(({ name }) => struck.has(name))) return
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

/** At rest, nothing is to be delivered, and every batch is completed. Resolves with whether it was, in time. */
async function untilAtRest({ now, signal, print }: ChaosRun, { backend, stage, feed }: Scene): Promise<boolean> {
  const until = now() + REST_WITHIN_MS
  let printedAt = now()
  let open = feed.batches
  for (;;) {
    open = await stillOpen(backend, open)
    if (open.length === 0 && (await backend.isIdle(stage.progress.lastPushAt))) return true
    if (now() > until) return false
    if (now() - printedAt > PRINT_EVERY_MS) {
      printedAt = now()
      print(`${open.length} batches are not completed`)
    }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

async function stillOpen({ stores }: Backend, names: readonly string[]): Promise<readonly string[]> {
  const batches = await Promise.all(names.map((name) => stores.batches.read(name)))
  return names.filter((_, index) => batches[index]?.status !== 'completed')
}
