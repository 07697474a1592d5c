import { createRandom, type Random } from '../support/seeded-random.ts'
import {
  DUPLICATES,
  type Fault,
  type FaultKind,
  otherFaults,
  processFaults,
  type StoreKind,
  UPGRADE,
} from './faults.ts'

export interface PlannedFault {
  /** Names it in the stand-ins' call logs. */
  readonly name: string
  /** Milliseconds after the beginning. */
  readonly atMs: number
  /** Which worker, from 0 on, where it concerns one. */
  readonly worker: number
  readonly fault: Fault
}

/** All that decides what goes wrong when. */
export interface PlanRequest {
  readonly seed: number
  readonly durationMs: number
  readonly workers: number
  readonly store: StoreKind
}

/** The last faults need time to strike. */
const USED_SHARE = 0.9

/** Plans what goes wrong, on whom and when: a function of the seed, and in order of time. Each kind comes once at least. */
export function makePlan({ seed, durationMs, workers, store }: PlanRequest): readonly PlannedFault[] {
  const random = createRandom(seed)
  const withinMs = durationMs * USED_SHARE
  const spread = otherFaults(store).flatMap((kind) => spreadOver(withinMs, howMany(kind, durationMs), kind, random))
  const planned = [
    { atMs: 0, worker: 0, fault: DUPLICATES },
    { atMs: Math.round(durationMs / 2), worker: workers - 1, fault: UPGRADE },
    ...spread.map((each) => ({ ...each, worker: random.whole(0, workers - 1) })),
    ...planProcesses(withinMs, workers, processFaults(), durationMs, random),
  ]
  return planned.toSorted((a, b) => a.atMs - b.atMs).map((each, index) => ({ name: `chaos-${index + 1}`, ...each }))
}

function howMany({ everyMs }: FaultKind, durationMs: number): number {
  return Math.max(1, Math.round(durationMs / everyMs))
}

/** One in each stretch of the time, so that neither all nor none come at once. */
function spreadOver(withinMs: number, count: number, { make }: FaultKind, random: Random) {
  const stretchMs = withinMs / count
  return Array.from({ length: count }, (_, index) => ({
    atMs: Math.round((index + 0.8 * random.next()) * stretchMs),
    fault: make(random),
  }))
}

/** Each worker has a stretch of its time for each fault that it is dealt: what is dead cannot be stopped. */
function planProcesses(
  withinMs: number,
  workers: number,
  kinds: readonly FaultKind[],
  durationMs: number,
  random: Random,
) {
  const all = kinds.flatMap((kind) => Array.from({ length: howMany(kind, durationMs) }, () => kind.make(random)))
  const dealt = Map.groupBy(shuffled(all, random).entries(), ([index]) => index % workers)
  return [...dealt].flatMap(([worker, faults]) => {
    const stretchMs = withinMs / faults.length
    return faults.map(([, fault], index) => ({
      atMs: Math.round((index + 0.4 * random.next()) * stretchMs),
      worker,
      fault,
    }))
  })
}

function shuffled<T>(all: readonly T[], random: Random): readonly T[] {
  return all
    .map((each) => ({ each, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ each }) => each)
}

/** What people call a kind of fault. */
export function nameOf({ on, kind }: Pick<Fault, 'on' | 'kind'>): string {
  return `${on}: ${kind}`
}

/** How many of each kind are planned. */
export function countKinds(plan: readonly PlannedFault[]): ReadonlyMap<string, number> {
  const byKind = Map.groupBy(plan, ({ fault }) => nameOf(fault))
  return new Map([...byKind].map(([kind, planned]) => [kind, planned.length]))
}
