import { type Deployment, resourceOf } from '../../shared/config/deployments.ts'
import { type Failure, isMissingForGood } from '../../shared/job/failures.ts'
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

type Entered = { readonly isAllowed: true; readonly candidate: Candidate; readonly leave: () => void }
type FirstEntry = Entered | { readonly isAllowed: false; readonly refused: Refused }

/** Enters the first candidate that is open. Those after it are not entered. */
export function enterFirst([candidate, ...others]: Candidates, enter: Enter): FirstEntry {
  const entry = enter(candidate)
  if (entry.isAllowed) return { isAllowed: true, candidate, leave: entry.leave }
  const [next, ...more] = others
  if (next === undefined) return { isAllowed: false, refused: [entry] }
  const then = enterFirst([next, ...more], enter)
  return then.isAllowed ? then : { isAllowed: false, refused: [entry, ...then.refused] }
}

/** The deployment at which a job is, which it may leave for another one. */
export interface Seat {
  candidate(): Candidate
  /** All that the job was planned for. */
  readonly candidates: Candidates
  /** Leaves for the first such candidate that is open. If none is, the job stays, and the result is why, for each. */
  move(isWanted: (candidate: Candidate) => boolean): Move
  /**
   * Moves to none of these deployments from now on, and leaves for another one that is open if the job is at one of them.
   * Returns whether the job is at none of them.
   */
  avoid(names: readonly string[]): boolean
  /** Called when the job has ended, whatever its result. */
  leave(): void
}

interface Move {
  readonly hasMoved: boolean
  readonly refused: readonly Refusal[]
}

/** `first`: the entry by which the job was admitted. */
export function takeSeat(candidates: Candidates, first: Entered, enter: Enter): Seat {
  let { candidate, leave } = first
  let avoided: readonly string[] = []
  const isAvoided = ({ deployment }: Candidate) => avoided.includes(deployment.name)

  function move(isWanted: (candidate: Candidate) => boolean): Move {
    const [next, ...others] = candidates.filter((each) => isWanted(each) && !isAvoided(each))
    if (next === undefined) return { hasMoved: false, refused: [] }
    const entry = enterFirst([next, ...others], enter)
    if (!entry.isAllowed) return { hasMoved: false, refused: entry.refused }
    leave()
    candidate = entry.candidate
    leave = entry.leave
    return { hasMoved: true, refused: [] }
  }

  return {
    candidates,
    candidate: () => candidate,
    move,
    avoid(names) {
      avoided = names
      return !isAvoided(candidate) || move(() => true).hasMoved
    },
    leave: () => leave(),
  }
}

/** The deployments that a request met: the one that was asked, and the candidate to which the provider sent it on by itself. */
export function deploymentsMet(
  candidates: Candidates,
  asked: Deployment,
  { spilledTo }: Pick<Failure, 'spilledTo'>,
): readonly Deployment[] {
  const isSpillover = (each: Deployment) => each.deployment === spilledTo && resourceOf(each) === resourceOf(asked)
  const others = candidates.map(({ deployment }) => deployment).filter((each) => each !== asked && isSpillover(each))
  return [asked, ...others]
}

/** Whether each of these deployments has been missing for so long that the jobs of its model may end. */
export function areMissing(candidates: readonly Candidate[], missing: Circuits['missing']): boolean {
  return candidates.every(({ deployment }) => {
    const failure = missing(deployment)
    return failure !== undefined && isMissingForGood(failure)
  })
}
