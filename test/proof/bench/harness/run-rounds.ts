import type { Contestant, Results, Sample } from './bench.ts'

export interface Rounds {
  readonly rounds: number
  readonly jobs: number
  /** Hears of each contestant's turn; round 0 is the warm-up. */
  readonly onTurn?: (round: number, contestant: string) => void
}

/**
 * Lets the contestants take turns, A B A B …: whatever else this machine does hits all of them alike.
 *
 * A warm-up round goes before and is not counted. A contestant that fails ends the bench: rejects with its error.
 */
export async function runRounds(
  contestants: readonly Contestant[],
  { rounds, jobs, onTurn }: Rounds,
): Promise<Results> {
  const results = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const contestant of contestants) {
      onTurn?.(round, contestant.name)
      const sample = await contestant.run(jobs, round)
      if (round > 0) results.get(contestant.name)?.push(sample)
    }
  }
  return results
}
