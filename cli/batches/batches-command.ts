import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { readBatchProgress } from '../../shared/stores/batch-progress.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { addHelpEnding } from '../help.ts'
import { instant } from '../instant.ts'
import { wholeNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { describeState, ofTotal } from './describe-progress.ts'

const DEFAULT_LIMIT = 20

interface BatchesOptions extends StoreOptions {
  readonly limit: number
  readonly json?: true
}

/** `promptbridge batches`: the latest batches, each with how far it has come. */
export function batchesCommand(environment: Environment): Command {
  const command = new Command('batches').option('--limit <n>', 'list at most so many', wholeNumber, DEFAULT_LIMIT)
  addOutputOptions(addStoreOptions(command), 'print one line of JSON for each; times are milliseconds since 1970')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge batches', 'list the latest batches'],
      ['promptbridge batches --limit 100 --json', 'list more, as JSON'],
    ],
  })
    .exitOverride()
    .action((options: BatchesOptions) => withReaders(options, environment, (stores) => list(stores, options)))
}

async function list(stores: StoreReaders, { limit, json }: BatchesOptions): Promise<void> {
  const batches = await stores.batches.list(limit)
  if (batches.length === 0 && !json) print('no batches\n')
  const width = Math.max(...batches.map(({ name }) => plainText(name).length))
  for (const { name, createdAt } of batches) {
    const progress = await readBatchProgress(stores, name)
    if (progress === undefined) continue
    if (json) printJson(progress)
    else {
      const submitted = instant(createdAt)
      print(
        `${plainText(name).padEnd(width)}  ${submitted}  ${ofTotal(progress)} settled  ${describeState(progress)}\n`,
      )
    }
  }
}
