import type { Random } from '../support/seeded-random.ts'
import { drawModelWindows, type WindowKind } from './model-windows.ts'
import { LARGE_BATCH } from './settings.ts'

/** How likely each fault is at a port call, 0 to 1. */
export interface FaultRates {
  readonly crash: number
  readonly freeze: number
  /** The call is turned away, and does nothing. */
  readonly refuse: number
  /** The call does what it is to do, and its caller never hears of it. */
  readonly lose: number
  /** The call takes longer than its caller waits; it is applied all the same, and late. */
  readonly late: number
  /** A message is delivered once more, at the same time or after its acknowledgement. */
  readonly duplicate: number
  /** The caller's clock is set minutes forward or back. */
  readonly jump: number
  /** What the model does other than answer. */
  readonly model: number
}

/** Epoch milliseconds. */
interface Period {
  readonly from: number
  readonly to: number
}

/** A port that cannot be reached for a while. */
interface Outage extends Period {
  readonly port: Port
}

export const ports = ['store', 'queue', 'model', 'token'] as const
export type Port = (typeof ports)[number]

export interface Faults {
  readonly rates: FaultRates
  /** From here on everything works: what was broken must fix by itself. Epoch milliseconds. */
  readonly calmAt: number
  isAway(port: Port, now: number): boolean
  /** What a deployment does with every request now; undefined where it does as the rates have it. */
  modelWindow(deployment: string, now: number): WindowKind | undefined
  /** Whether a count or a sum over this batch takes longer than it may now. */
  isSlow(batch: string | undefined, now: number): boolean
  /** Until then workers of the last release are started, too. Epoch milliseconds. */
  readonly upgradedAt: number
  /** From here on every port can be reached, and no call fails. Epoch milliseconds. */
  readonly reachableAt: number
  /** From here on nothing fails that a job of this deployment could wait for. Epoch milliseconds; Infinity: never. */
  overAt(deployment: string): number
}

const CALM: FaultRates = { crash: 0, freeze: 0, refuse: 0, lose: 0, late: 0, duplicate: 0, jump: 0, model: 0 }
const MINUTE_MS = 60_000

/** How likely faults may be in one history: in some there are none, in others hardly anything works. */
const LIKELIHOODS: Readonly<Record<keyof FaultRates, readonly number[]>> = {
  crash: [0, 0.01, 0.03, 0.1],
  freeze: [0, 0.01, 0.03],
  refuse: [0, 0.02, 0.1],
  lose: [0, 0.02, 0.1, 0.2],
  late: [0, 0.01, 0.05],
  duplicate: [0, 0.1, 0.3],
  jump: [0, 0, 0.02],
  model: [0, 0.2, 0.6],
}

/** Draws what goes wrong in one history. `start`: epoch milliseconds. */
export function drawFaults(random: Random, start: number): Faults {
  const calmAt = start + random.whole(2, 25) * MINUTE_MS
  const draw = (fault: keyof FaultRates) => random.pick(LIKELIHOODS[fault])
  const rates: FaultRates = {
    ...{ crash: draw('crash'), freeze: draw('freeze'), refuse: draw('refuse'), lose: draw('lose') },
    ...{ late: draw('late'), duplicate: draw('duplicate'), jump: draw('jump'), model: draw('model') },
  }
  const outages = ports.flatMap((port) => (random.chance(0.15) ? [drawOutage(random, port, start)] : []))
  const windows = drawModelWindows(random, start)
  const slow = random.chance(0.3) ? [drawSlowness(random, start)] : []
  const upgradedAt = random.chance(0.25) ? start + random.whole(5, 40) * MINUTE_MS : start
  const reachableAt = Math.max(calmAt, upgradedAt, ...outages.map(({ to }) => to))
  return {
    rates,
    calmAt,
    isAway: (port, now) => outages.some((outage) => outage.port === port && isWithin(outage, now)),
    modelWindow: (name, now) => windows.get(name)?.find((window) => isWithin(window, now))?.kind,
    isSlow: (batch, now) => batch === LARGE_BATCH && slow.some((each) => isWithin(each, now)),
    ...{ upgradedAt, reachableAt },
    overAt: (name) => Math.max(reachableAt, ...(windows.get(name) ?? []).map(({ to }) => to)),
  }
}

function isWithin({ from, to }: Period, now: number): boolean {
  return now >= from && now < to
}

function drawOutage(random: Random, port: Port, start: number): Outage {
  const from = start + random.whole(0, 5 * MINUTE_MS)
  return { port, from, to: from + random.whole(MINUTE_MS, 60 * MINUTE_MS) }
}

/** Long enough for another batch to end meanwhile. */
function drawSlowness(random: Random, start: number): Period {
  const from = start + random.whole(0, 5 * MINUTE_MS)
  return { from, to: from + random.whole(30, 120) * MINUTE_MS }
}

/** The rates that hold now. */
export function ratesAt({ rates, calmAt }: Faults, now: number): FaultRates {
  return now < calmAt ? rates : CALM
}
