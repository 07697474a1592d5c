/** What one contestant did in one round. */
export interface Sample {
  /** Jobs that were brought to their end. */
  readonly jobs: number
  /** Measurements by their names, which carry the unit: `CPU ms/job`. */
  readonly values: Readonly<Record<string, number>>
}

/** A program that does the same work as the others, in a process of its own. */
export interface Contestant {
  readonly name: string
  /** Runs so many jobs and returns what they took; `round` makes the jobs' ids unique. */
  run(jobs: number, round: number): Promise<Sample>
}

/** What must hold for a bench to pass. */
export type Bar = { readonly contestant: string; readonly metric: string } & (
  | { readonly is: 'exactly' | 'at most'; readonly value: number }
  /** `value` times what another contestant measured in the same round. */
  | { readonly is: 'at most'; readonly value: number; readonly timesThatOf: string }
)

export interface OpenBench extends AsyncDisposable {
  readonly contestants: readonly Contestant[]
}

export interface Bench {
  readonly title: string
  readonly jobsPerRound: number
  readonly rounds: number
  readonly bars: readonly Bar[]
  /** Starts the contestants and what they work with. Rejects where something that is needed is not here. */
  open(): Promise<OpenBench>
}

/** The samples of each contestant, round by round. */
export type Results = ReadonlyMap<string, readonly Sample[]>
