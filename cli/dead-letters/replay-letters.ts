import type { Message } from '../../shared/queues/job-queue.ts'
import { QueueError } from '../../shared/queues/job-queue.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { Stores } from '../../shared/stores/open.ts'
import { findObstacle, findStateObstacle, type ReplayRules } from './obstacles.ts'
import { hasChanges, makeReplay, type Replay, type ReplayChanges } from './replay-message.ts'

/** The parts of the stores that a replay needs. */
export interface ReplayStores {
  readonly queue: Pick<Stores['queue'], 'publishAll'>
  readonly documents: Pick<Stores['documents'], 'read'>
  readonly deadLetters: Pick<Stores['deadLetters'], 'readData' | 'beginReplay' | 'endReplay'>
}

export interface ReplayPlan {
  readonly rules: ReplayRules
  readonly changes: ReplayChanges
  /** Nothing is published. */
  readonly dryRun: boolean
  readonly topic: string
  readonly now: () => number
}

/** The message of a letter, or why it is not replayed. Its data is read last, because it may be large. */
async function planReplay(
  { documents, deadLetters }: ReplayStores,
  letter: DeadLetter,
  { rules, changes, now }: Pick<ReplayPlan, 'rules' | 'changes' | 'now'>,
): Promise<Replay> {
  const isChanged = hasChanges(changes)
  const obstacle = findObstacle(letter, isChanged ? { ...rules, isChanged } : rules)
  if (obstacle !== undefined) return { kind: 'skip', why: obstacle }
  const record = letter.key === undefined ? undefined : (await documents.read(letter.key))?.record
  const state = findStateObstacle(letter, record)
  if (state !== undefined) return { kind: 'skip', why: state }
  return makeReplay(letter, await deadLetters.readData(letter), changes, now())
}

/**
 * Replays some letters at once. Resolves with why each was skipped; undefined for one that was replayed.
 *
 * A letter is reserved before its message is published, so that two replays of it cannot publish different data, and
 * counted afterwards. If the command ends in between, the letter is open again after ten minutes: a message that was
 * published twice runs once. Rejects with StoreError or QueueError.
 */
export async function replayLetters(
  stores: ReplayStores,
  letters: readonly DeadLetter[],
  plan: ReplayPlan,
): Promise<readonly (string | undefined)[]> {
  const planned = await Promise.all(letters.map((letter) => planReplay(stores, letter, plan)))
  if (plan.dryRun) return planned.map((replay) => (replay.kind === 'skip' ? replay.why : undefined))
  const begun = await Promise.all(
    letters.map(async (letter, n): Promise<Replay> => {
      const replay = planned[n] ?? { kind: 'skip', why: '' }
      if (replay.kind === 'skip' || (await stores.deadLetters.beginReplay(letter, plan.now()))) return replay
      return { kind: 'skip', why: 'it was replayed meanwhile, or is being replayed' }
    }),
  )
  const ready = begun.flatMap((replay, n) => {
    const letter = letters[n]
    return letter === undefined || replay.kind === 'skip' ? [] : [{ letter, message: replay.message }]
  })
  const refused = await publishAll(stores, ready, plan)
  return begun.map((replay, n) => {
    if (replay.kind === 'skip') return replay.why
    return refused.has(letters[n]?.id ?? '') ? 'the jobs topic refuses its message' : undefined
  })
}

interface Ready {
  readonly letter: DeadLetter
  readonly message: Message
}

/** Resolves with the ids of the letters that the topic can never accept. */
async function publishAll(
  stores: ReplayStores,
  ready: readonly Ready[],
  plan: ReplayPlan,
): Promise<ReadonlySet<string>> {
  const end = (letters: readonly Ready[], as: 'published' | 'abandoned') =>
    Promise.all(letters.map(({ letter }) => stores.deadLetters.endReplay(letter.id, as, plan.now())))
  try {
    await stores.queue.publishAll(
      plan.topic,
      ready.map(({ message }) => message),
    )
  } catch (error) {
    const isRefused = error instanceof QueueError && error.code === 'refused'
    const [only, ...others] = ready
    if (isRefused && only !== undefined && others.length > 0) return publishEach(stores, ready, plan)
    await end(ready, 'abandoned')
    if (isRefused && only !== undefined) return new Set([only.letter.id])
    throw error
  }
  await end(ready, 'published')
  return new Set()
}

/** One message that is refused would fail all of its group. */
async function publishEach(stores: ReplayStores, ready: readonly Ready[], plan: ReplayPlan) {
  const refused = new Set<string>()
  for (const each of ready) for (const id of await publishAll(stores, [each], plan)) refused.add(id)
  return refused
}
