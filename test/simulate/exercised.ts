/**
 * What a simulation goes through, and how often at least in 1,000 histories. One that met it less often has shown too little
 * about it.
 */
const floors = {
  'crash before a call': 900,
  'crash after a call': 800,
  freeze: 700,
  'refused call': 40_000,
  'lost reply': 3000,
  'call applied late': 800,
  'clock set': 300,
  drain: 400,
  'duplicate delivery': 1000,
  'lost acknowledgement': 200,
  'acknowledgement deadline missed': 1000,
  'message given up by Pub/Sub': 900,
  takeover: 200,
  'dropped answer': 20,
  'answer in parts': 10,
  'unknown attempt': 1000,
  'throttled call': 300,
  'ambiguous call': 300,
  'refused token': 30,
  'unavailable, with a time to wait': 300,
  'unavailable, with no time to wait': 100,
  'missing deployment': 100,
  'denied call': 100,
  'redirected call': 90,
  'unanswered call': 80,
  'answer without usage': 30,
  'empty answer': 30,
  'paid rejection': 20,
  'folded attempt': 400,
  'outage survived': 10,
  'ended by its timeouts': 30,
  'answer written over a swept record': 1,
  'claim: first attempt': 1000,
  'claim: next attempt': 800,
  'claim: next run': 300,
  'claim: mine': 80,
  'claim: gave up': 70,
  'claim: settled': 1000,
  'claim: busy': 400,
  'claim: waits': 800,
  'claim: conflict': 200,
  'claim: superseded': 10,
  'claim: impossible_run': 100,
  rescue: 600,
  replay: 300,
  'cancelled batch': 70,
  'cancelled job': 40,
  'expired job': 100,
  conflict: 200,
  'forged run': 100,
  poison: 60,
  'attempts used up': 100,
  'token limit reached': 20,
  'job released by a sweep': 40,
  'job ended by a sweep': 60,
  'completed batch': 300,
} as const
export type Situation = keyof typeof floors

export const situations = Object.keys(floors).filter((name): name is Situation => name in floors)

/** How often each situation was met. */
export type Exercised = Map<Situation, number>

export function count(exercised: Exercised, situation: Situation, times = 1): void {
  exercised.set(situation, (exercised.get(situation) ?? 0) + times)
}

export function addTo(sum: Exercised, more: ReadonlyMap<Situation, number>): void {
  for (const [situation, times] of more) count(sum, situation, times)
}

/** A situation that was met too rarely. */
export interface Shortfall {
  readonly situation: Situation
  readonly met: number
  readonly floor: number
}

/** What so many histories met too rarely. */
export function belowFloor(exercised: Exercised, seeds: number): readonly Shortfall[] {
  return situations.flatMap((situation) => {
    const met = exercised.get(situation) ?? 0
    const floor = Math.floor((floors[situation] * seeds) / 1_000)
    return met < floor ? [{ situation, met, floor }] : []
  })
}
