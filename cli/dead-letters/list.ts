import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { type DeadLetter, type LetterStatus, letterStatuses, statusOf } from '../../shared/stores/dead-letter-store.ts'
import { addHelpEnding } from '../help.ts'
import { wholeNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson, printProblem } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { countReasons, describeLine, describeReasons, type ReasonCounter } from './describe-letters.ts'
import {
  addLetterOptions,
  checkChoice,
  filterOf,
  type LetterOptions,
  readLetters,
  spellChoice,
  spellStore,
} from './letter-options.ts'

const DEFAULT_LIMIT = 20

interface ListOptions extends StoreOptions, LetterOptions {
  readonly limit: number
  readonly json?: true
}

/** `promptbridge dead-letters list`: counts the open dead letters by reason, and lists them apart from the replayed ones. */
export function listCommand(environment: Environment): Command {
  const command = new Command('list').description(
    'count open dead letters by reason, print how to fix each reason, and list them apart from the replayed ones',
  )
  return addOutputOptions(
    addHelpEnding(addStoreOptions(addLetterOptions(command)), {
      examples: [
        ['promptbridge dead-letters list --batch nightly', 'list the dead letters of a batch'],
        ['promptbridge dead-letters list --reason rejected --since 24h', 'list those of one reason and the last day'],
        ['promptbridge dead-letters list --status replayed', 'list those whose jobs were published again'],
      ],
    }),
    'print one line of JSON for each, and no table',
  )
    .option('--limit <n>', 'list at most this many of each status; the counts include all', wholeNumber, DEFAULT_LIMIT)
    .exitOverride()
    .action((options: ListOptions) => list(options, environment))
}

/** What was read: which letters to list, and a count of the others. */
interface Seen {
  readonly counts: ReasonCounter
  readonly listed: Readonly<Record<LetterStatus, DeadLetter[]>>
  readonly total: Record<LetterStatus, number>
}

async function list(options: ListOptions, environment: Environment): Promise<void> {
  await withReaders(options, environment, async (stores) => {
    await checkChoice(stores, options)
    let unreadable = 0
    const letters = readLetters(stores.deadLetters, filterOf(options, Date.now()), (count) => {
      unreadable += count
    })
    if (options.json) await printLines(letters, options.limit)
    else print(describe(await readAll(letters, options.limit), options))
    if (unreadable > 0) printProblem(`${unreadable} more in the store cannot be read`)
  })
}

async function printLines(letters: AsyncIterable<DeadLetter>, limit: number): Promise<void> {
  let left = limit
  for await (const letter of letters) {
    printJson({ ...letter, status: statusOf(letter) })
    left -= 1
    if (left === 0) return
  }
}

/** Keeps as many letters as are listed, because there may be a hundred thousand. */
async function readAll(letters: AsyncIterable<DeadLetter>, limit: number): Promise<Seen> {
  const seen: Seen = { counts: countReasons(), listed: { open: [], replayed: [] }, total: { open: 0, replayed: 0 } }
  for await (const letter of letters) {
    const status = statusOf(letter)
    seen.total[status] += 1
    if (status === 'open') seen.counts.add(letter)
    if (seen.listed[status].length < limit) seen.listed[status].push(letter)
  }
  return seen
}

function describe({ counts, listed, total }: Seen, options: ListOptions): string {
  if (total.open + total.replayed === 0) return 'no dead letters\n'
  const reasons = describeReasons(counts.counts(), spellChoice(options), spellStore(options))
  const open = options.status === 'replayed' ? '' : `${reasons}\n`
  return [total.open > 0 ? open : 'no open dead letters\n\n', ...letterStatuses.map(section)]
    .join('')
    .trimEnd()
    .concat('\n')

  function section(status: LetterStatus): string {
    if (total[status] === 0) return ''
    const left = total[status] - listed[status].length
    const more = left > 0 ? `… and ${left} more; --limit lists them\n` : ''
    return `${status}\n${listed[status].map(describeLine).join('')}${more}\n`
  }
}
