import type { DeadLetter, DeadLetterReader } from '../../shared/stores/dead-letter-store.ts'
import { MisuseError } from '../exit-codes.ts'
import { printProblem } from '../print.ts'
import { findLetter, type LetterStores } from './find-letter.ts'
import { filterOf, hasChoice, type LetterOptions, readLetters } from './letter-options.ts'

/** Throws MisuseError unless letters are named, by id or by an option. */
export function requireChoice(ids: readonly string[], options: LetterOptions): void {
  if (ids.length > 0 || hasChoice(options)) return
  throw new MisuseError(
    'name the letters: by id, or with --batch, --reason, --model, --since, --older-than or --status',
  )
}

/**
 * The letters with these ids, or the latest ones of the jobs with these ids; without ids, all that match the options.
 *
 * Rejects if an id is unknown.
 */
export async function* chosenLetters(
  stores: LetterStores & { readonly deadLetters: Pick<DeadLetterReader, 'list'> },
  ids: readonly string[],
  options: LetterOptions,
): AsyncGenerator<DeadLetter> {
  if (ids.length === 0) {
    const report = (count: number) => printProblem(`${count} in the store cannot be read`)
    yield* readLetters(stores.deadLetters, filterOf(options, Date.now()), report)
    return
  }
  for (const id of ids) yield await findLetter(stores, id, options.batch ?? '')
}

/** How many there are, read page by page. */
export async function countLetters(letters: AsyncIterable<DeadLetter>): Promise<number> {
  let count = 0
  for await (const _ of letters) count += 1
  return count
}

/** How many letters are worked on at once, and the bytes of their data. */
const MAX_LETTERS = 100
const MAX_BYTES = 16_000_000

/** Groups letters by number and size, so that many are worked on at once and few are in memory. */
export async function* inGroups(
  letters: AsyncIterable<DeadLetter>,
  maxLetters: () => number = () => MAX_LETTERS,
): AsyncGenerator<readonly DeadLetter[]> {
  let [group, bytes]: [DeadLetter[], number] = [[], 0]
  for await (const letter of letters) {
    group.push(letter)
    bytes += letter.data.bytes
    if (group.length < Math.min(MAX_LETTERS, maxLetters()) && bytes < MAX_BYTES) continue
    yield group
    ;[group, bytes] = [[], 0]
  }
  if (group.length > 0) yield group
}
