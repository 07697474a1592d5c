import type { Deployment } from '../../shared/config/deployments.ts'
import { isMissingForGood } from '../../shared/job/failures.ts'
import type { Circuits, Entry } from '../../shared/models/circuits.ts'

/** A deployment that may serve a job. */
export interface Candidate {
  readonly deployment: Deployment
  /** The cap to add if the body has none, in tokens for each answer. */
  readonly outputCap: number | undefined
}

/** Allows a request to a candidate now, or returns for how long this is not possible. */
export type Enter = (candidate: Candidate) => Entry

/** The deployments that may serve a job, in the order in which it asks them. */
export type Candidates = readonly [Candidate, ...Candidate[]]

type Refusal = Extract<Entry, { isAllowed: false }>
/** Why no candidate is open, for each. */
export type Refused = readonly [Refusal, ...Refusal[]]

type FirstEntry =
  | { readonly isAllowed: true; readonly candidate: Candidate; readonly leave: () => void }
  | { readonly isAllowed: false; readonly refused: Refused }

/** Enters the first candidate that is open. Those after it are not entered. */
export function enterFirst([candidate, ...others]: Candidates, enter: Enter): FirstEntry {
  const entry = enter(candidate)
  if (entry.isAllowed) return { isAllowed: true, candidate, leave: entry.leave }
  const [next, ...more] = others
  if (next === undefined) return { isAllowed: false, refused: [entry] }
  const then = enterFirst([next, ...more], enter)
  return then.isAllowed ? then : { isAllowed: false, refused: [entry, ...then.refused] }
}

/** Whether each of these deployments has been missing for so long that the jobs of its model may end. */
export function areMissing(candidates: readonly Candidate[], missing: Circuits['missing']): boolean {
  return candidates.every(({ deployment }) => {
    const failure = missing(deployment)
    return failure !== undefined && isMissingForGood(failure)
  })
}
