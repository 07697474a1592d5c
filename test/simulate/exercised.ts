/** What a simulation went through, and how often. A simulation that never met one of these has shown nothing about it. */
export const situations = [
  'crash before a call',
  'crash after a call',
  'freeze',
  'refused call',
  'lost reply',
  'call applied late',
  'drain',
  'duplicate delivery',
  'lost acknowledgement',
  'acknowledgement deadline missed',
  'message given up by Pub/Sub',
  'takeover',
  'dropped answer',
  'answer in parts',
  'unknown attempt',
  'throttled call',
  'ambiguous call',
  'refused token',
  'rescue',
  'replay',
  'cancelled batch',
  'cancelled job',
  'expired job',
  'conflict',
  'forged run',
  'poison',
  'attempts used up',
  'token limit reached',
  'job released by a sweep',
  'job ended by a sweep',
  'completed batch',
] as const
export type Situation = (typeof situations)[number]

/** How often each situation was met. */
export type Exercised = Map<Situation, number>

export function count(exercised: Exercised, situation: Situation, times = 1): void {
  exercised.set(situation, (exercised.get(situation) ?? 0) + times)
}

export function addTo(sum: Exercised, more: ReadonlyMap<Situation, number>): void {
  for (const [situation, times] of more) count(sum, situation, times)
}

export function neverMet(exercised: Exercised): readonly Situation[] {
  return situations.filter((situation) => !exercised.get(situation))
}
