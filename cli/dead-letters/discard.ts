import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { confirm } from '../confirm.ts'
import { ExitCode } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson, printStatus } from '../print.ts'
import { addStoreOptions, type StoreOptions, withStores } from '../with-stores.ts'
import { chosenLetters, countLetters, inGroups, requireChoice } from './chosen-letters.ts'
import { addLetterOptions, checkChoice, type LetterOptions } from './letter-options.ts'

interface DiscardOptions extends StoreOptions, LetterOptions {
  readonly yes?: true
  readonly dryRun?: true
  readonly json?: true
}

/** `promptbridge dead-letters discard`: deletes dead letters with the data of their messages. */
export function discardCommand(environment: Environment): Command {
  const command = new Command('discard')
    .description('delete dead letters and the data of their messages; the records of their jobs stay')
    .argument(
      '[ids...]',
      'ids of letters as `list` prints them, or with --batch of jobs (default: all that match the options)',
    )
  return addOutputOptions(
    addHelpEnding(addStoreOptions(addLetterOptions(command)), {
      examples: [
        [
          'promptbridge dead-letters discard --status replayed --older-than 7d',
          'delete what was replayed, after asking',
        ],
        ['promptbridge dead-letters discard --batch nightly --dry-run', 'print how many would be deleted'],
      ],
      isInterruptible: true,
    }),
    'print the count as JSON',
  )
    .option('--yes', 'do not ask')
    .option('--dry-run', 'print how many would be deleted, and delete nothing')
    .exitOverride()
    .action((ids: readonly string[], options: DiscardOptions) => discard(ids, options, environment))
}

async function discard(ids: readonly string[], options: DiscardOptions, environment: Environment): Promise<void> {
  const { yes = false, dryRun = false, json } = options
  requireChoice(ids, options)
  using interrupt = listenForInterrupt()
  const discarded = await withStores('change', options, environment, async (stores) => {
    const { deadLetters } = stores
    if (ids.length === 0) await checkChoice(stores, options)
    const count = await countLetters(chosenLetters(stores, ids, options))
    if (dryRun || count === 0) return count
    const isSure = await confirm(`Delete ${count} dead letters? They cannot be replayed any more.`, yes)
    if (!isSure) return 0
    let done = 0
    for await (const group of inGroups(chosenLetters(stores, ids, options))) {
      if (interrupt.signal.aborted) break
      const deleted = await Promise.all(group.map(({ id }) => deadLetters.discard(id)))
      done += deleted.filter(Boolean).length
      printStatus(`${done} of ${count} discarded`)
    }
    printStatus('')
    return done
  })
  if (json) printJson({ dryRun, discarded })
  else print(`${discarded}${dryRun ? ' would be discarded; nothing was deleted' : ' discarded'}\n`)
  if (interrupt.signal.aborted) process.exitCode = ExitCode.interrupted
}
