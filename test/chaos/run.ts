import { setTimeout as delay } from 'node:timers/promises'
import type { Backend, BackendOptions } from './backend.ts'
import { createCommands } from './commands.ts'
import { openEmulatorBackend } from './emulator-backend.ts'
import type { StoreKind } from './faults.ts'
import { startFeed } from './feed.ts'
import { gather, gatherCalls } from './gather.ts'
import { inflict, lift } from './inflict.ts'
import type { PlannedFault } from './plan.ts'
import { seededRandom } from './random.ts'
import { countEvidence, type Report } from './report.ts'
import { judge } from './rules.ts'
import { openSqliteBackend } from './sqlite-backend.ts'
import { type Stage, setStage } from './stage.ts'
import { startSweeps } from './sweeps.ts'
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
  readonly tell: (line: string) => void
  readonly signal: AbortSignal
}

const BACKENDS: Readonly<Record<StoreKind, (options: BackendOptions) => Promise<Backend>>> = {
  sqlite: openSqliteBackend,
  emulators: openEmulatorBackend,
}

/** A token is asked for as often, so that every fault that was placed finds something to strike. */
const STRIKE_WITHIN_MS = 25_000
const REST_WITHIN_MS = 90_000
const LOOK_EVERY_MS = 250
const TELL_EVERY_MS = 10_000
const FEED_PAUSE_MS = 1_000

/**
 * Breaks what can be broken as planned while jobs come in, lifts all faults, waits until all is at rest, and judges what is
 * left. Rejects with the reason of `signal`, and where the stage itself fails.
 */
export async function runChaos(run: ChaosRun): Promise<Report> {
  const { plan, seed, store, workers, folder, now, tell, signal } = run
  await using open = new AsyncDisposableStack()
  const backend = open.use(await BACKENDS[store]({ folder, workers, now }))
  const stage = open.use(await setStage({ folder, backend, workers, now, signal }))
  tell(`${workers} workers take jobs`)
  const { PATH = '', HOME = '' } = process.env
  const commandEnvironment = { PATH, HOME, ...backend.commandEnvironment, JOBS_TOPIC: 'jobs' }
  const command = createCommands(folder, commandEnvironment, signal)
  const random = seededRandom(seed + 1)
  const feeding = {
    stores: backend.stores,
    topic: 'jobs',
    random,
    now,
    acked: stage.progress.acked,
    most: backend.most,
  }
  const feed = startFeed({ ...feeding, pauseMs: FEED_PAUSE_MS }, signal)
  open.defer(() => feed.stop().catch(() => undefined))
  const sweeps = startSweeps(stage.urls, stage.token, signal)
  open.defer(() => sweeps.stop())

  const beganAt = now()
  const performed = await perform(run, beganAt, (planned) =>
    inflict({ stage, backend, feed, command, signal }, planned),
  )
  await untilStruck(run, stage)
  await lift(stage)
  await feed.stop()
  tell(`the faults are lifted; ${feed.sent.length} messages were sent, and what is left comes to rest`)

  const liftedAt = now()
  const isAtRest = await untilAtRest(run, backend, stage, feed.batches)
  const restedAfterMs = isAtRest ? now() - liftedAt : undefined
  await sweeps.stop()
  await stage.crew.end()
  const evidence = await gather(backend, feed, stage)
  const { pushes } = evidence
  const tallies = tally({ plan, inflicted: performed.inflicted, calls: await gatherCalls(stage), pushes })
  const unrest = isAtRest ? [] : [{ rule: 'all comes to rest', what: `not within ${REST_WITHIN_MS / 1_000} s` }]
  return {
    ...{ seed, store, workers, faultsLastedMs: liftedAt - beganAt, restedAfterMs },
    ...countEvidence(evidence, performed.replays),
    ...{ replays: performed.replays, sweeps: sweeps.done(), faults: tallies, shortfalls: shortfalls(tallies) },
    breaches: [...judge(evidence), ...unrest],
  }
}

interface Performed {
  readonly inflicted: ReadonlySet<string>
  readonly replays: number
}

/** Lets each fault of the plan happen when its time has come, whatever the others are doing. */
async function perform(
  { plan, now, durationMs, signal, tell }: ChaosRun,
  beganAt: number,
  work: (planned: PlannedFault) => Promise<number>,
): Promise<Performed> {
  const inflicted = new Set<string>()
  const underWay: Promise<number>[] = []
  for (const planned of plan) {
    await delay(Math.max(0, beganAt + planned.atMs - now()), undefined, { signal })
    const { fault, name, worker } = planned
    tell(`${name}: ${fault.on} ${fault.kind}${fault.on === 'worker' ? `, worker ${worker}` : ''}`)
    const inflicting = work(planned).then((replays) => {
      inflicted.add(name)
      return replays
    })
    inflicting.catch(() => undefined)
    underWay.push(inflicting)
  }
  await delay(Math.max(0, beganAt + durationMs - now()), undefined, { signal })
  const replays = await Promise.all(underWay)
  return { inflicted, replays: replays.reduce((sum, count) => sum + count, 0) }
}

/** What was placed and has met nobody yet is given a little longer. */
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
async function untilAtRest(
  { now, signal, tell }: ChaosRun,
  backend: Backend,
  { progress }: Stage,
  batches: readonly string[],
): Promise<boolean> {
  const until = now() + REST_WITHIN_MS
  let toldAt = now()
  for (;;) {
    const open = await openBatches(backend, batches)
    if (open === 0 && (await backend.isIdle(progress.lastPushAt))) return true
    if (now() > until) return false
    if (now() - toldAt > TELL_EVERY_MS) {
      toldAt = now()
      tell(`${open} batches are not completed`)
    }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

async function openBatches({ stores }: Backend, names: readonly string[]): Promise<number> {
  const batches = await Promise.all(names.map((name) => stores.batches.read(name)))
  return batches.filter((batch) => batch?.status !== 'completed').length
}
