import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { addHelpEnding } from '../help.ts'
import { wholeNumber } from '../option-values.ts'
import { print, printJson, printProblem } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { type Counted, countReasons, describeLine, describeReasons } from './describe-letters.ts'
import { addLetterOptions, filterOf, type LetterOptions, readLetters } from './letter-options.ts'

const DEFAULT_LIMIT = 20

interface ListOptions extends StoreOptions, LetterOptions {
  readonly limit: number
  readonly json?: true
}

/** `promptbridge dead-letters list`: counts the dead letters by reason, and lists them. */
export function listCommand(environment: Environment): Command {
  const command = new Command('list').description(
    'count dead letters by reason, print how to fix each reason, and list them',
  )
  return addHelpEnding(addStoreOptions(addLetterOptions(command)), {
    examples: [
      ['promptbridge dead-letters list --batch nightly', 'list the dead letters of a batch'],
      ['promptbridge dead-letters list --reason rejected --since 24h', 'list those of one reason and the last day'],
    ],
  })
    .option('--limit <n>', 'list at most this many; the counts include all', wholeNumber, DEFAULT_LIMIT)
    .option('--json', 'print one line of JSON for each, and no table')
    .exitOverride()
    .action((options: ListOptions) => list(options, environment))
}

async function list(options: ListOptions, environment: Environment): Promise<void> {
  const { limit, json } = options
  await withReaders(options, environment, async ({ deadLetters }) => {
    const seen: Counted[] = []
    const listed: DeadLetter[] = []
    let unreadable = 0
    const onUnreadable = (count: number) => {
      unreadable += count
    }
    for await (const letter of readLetters(deadLetters, filterOf(options, Date.now()), onUnreadable)) {
      // Only these fields are kept, because there may be a hundred thousand letters.
      const { reason, code, hint, verified } = letter
      seen.push({ reason, code, hint, verified })
      if (listed.length < limit) listed.push(letter)
      if (json && listed.length === limit) break
    }
    if (json) for (const letter of listed) printJson(letter)
    else print(describe(seen, listed, options))
    if (unreadable > 0) printProblem(`${unreadable} more in the store cannot be read`)
  })
}

function describe(
  seen: readonly Counted[],
  listed: readonly DeadLetter[],
  { batch, model, since }: LetterOptions,
): string {
  if (seen.length === 0) return 'no dead letters\n'
  const chosenBy = [
    ...(batch === undefined ? [] : ['--batch', batch]),
    ...(model === undefined ? [] : ['--model', model]),
    ...(since === undefined ? [] : ['--since', since.text]),
  ]
  const left = seen.length - listed.length
  const more = left > 0 ? `… and ${left} more; --limit lists them\n` : ''
  return `${describeReasons(countReasons(seen), chosenBy)}\n${listed.map(describeLine).join('')}${more}`
}
