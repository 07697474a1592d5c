/**
 * What a simulation goes through, and how often at least in 1,000 histories. One that met it less often has shown too little
 * about it.
 */
const floors = {
  'crash before a call': 900,
  'crash after a call': 900,
  freeze: 800,
  'refused call': 30_000,
  'lost reply': 4000,
  'call applied late': 900,
  'clock set': 400,
  'worker of the last release': 300,
  drain: 600,
  'duplicate delivery': 1000,
  'lost acknowledgement': 200,
  'acknowledgement deadline missed': 1000,
  'message given up by Pub/Sub': 1000,
  takeover: 300,
  'dropped answer': 10,
  'answer in parts': 8,
  'unknown attempt': 1000,
  'throttled call': 200,
  'ambiguous call': 200,
  'refused token': 800,
  'unavailable, with a time to wait': 300,
  'unavailable, with no time to wait': 100,
  'missing deployment': 100,
  'denied call': 100,
  'redirected call': 100,
  'unanswered call': 70,
  'answer without usage': 30,
  'empty answer': 20,
  'paid rejection': 20,
  'circuit opened: faults': 100,
  'circuit opened: time to wait': 300,
  'circuit opened: forbidden': 200,
  'circuit opened: no_deployment': 100,
  'circuit opened: unauthorized': 600,
  'circuit closed': 100,
  'ended by a missing deployment': 10,
  'served by the spare deployment': 20,
  'another deployment asked in one attempt': 100,
  'attempt elsewhere during a wait': 20,
  "a server error of the job's own": 5,
  'folded attempt': 400,
  'outage survived': 10,
  'ended by its timeouts': 10,
  'answer written over a swept record': 1,
  'claim: first attempt': 2000,
  'claim: next attempt': 1000,
  'claim: next run': 500,
  'claim: mine': 100,
  'claim: gave up': 70,
  'claim: settled': 1000,
  'claim: busy': 500,
  'claim: waits': 900,
  'claim: conflict': 200,
  'claim: superseded': 10,
  'claim: impossible_run': 100,
  rescue: 1000,
  replay: 300,
  'cancelled batch': 70,
  'cancelled job': 40,
  'expired job': 100,
  conflict: 200,
  'forged run': 100,
  poison: 50,
  'attempts used up': 100,
  'token limit reached': 20,
  'job released by a sweep': 50,
  'job ended by a sweep': 70,
  'edited record': 80,
  'record made unreadable': 40,
  'unreadable record ended by its age': 20,
  'count that takes too long': 2000,
  'incomplete batch': 10,
  'completed batch': 400,
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
