import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { ExitCode } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'
import { addStoreOptions, type StoreOptions } from '../with-stores.ts'
import { describeProgress } from './describe-progress.ts'
import type { Observed } from './follow-batch.ts'
import { observeBatch } from './observe-batch.ts'
import { showOn } from './show-progress.ts'

interface BatchOptions extends StoreOptions {
  readonly watch?: true
  readonly json?: true
}

/** `promptbridge batch NAME`: how far a batch has come. */
export function batchCommand(environment: Environment): Command {
  const command = new Command('batch')
    .argument('<name>', 'the batch')
    .option('--watch', 'show it again and again, until it has ended')
  addOutputOptions(addStoreOptions(command), 'print it as JSON, with --watch one line for each change')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge batch nightly', 'show how far a batch has come'],
      ['promptbridge batch nightly --watch', 'keep it on screen until the batch has ended'],
    ],
    failure: 'there is no such batch',
    isInterruptible: true,
  })
    .exitOverride()
    .action(async (name: string, { watch, json, ...store }: BatchOptions) => {
      const line = createProgressLine(process.stderr)
      const show = json
        ? (observed: Observed) => printJson(flat(observed))
        : (observed: Observed) => showOn(line, observed)
      const options = { ...store, isOnce: !watch, ...(watch && { onObserved: onChange(show) }) }
      const { ended, observed, cost } = await observeBatch(name, options, environment)
      line.end()
      if (!json) print(describeProgress(observed, cost))
      else if (!watch) printJson({ ...flat(observed), cost })
      if (ended === 'interrupted') process.exitCode = ExitCode.interrupted
    })
}

/** Calls `show` only if something has changed since it was called last. */
function onChange(show: (observed: Observed) => void): (observed: Observed) => void {
  let before = ''
  return (observed) => {
    const now = JSON.stringify(observed.progress)
    if (now !== before) show(observed)
    before = now
  }
}

function flat({ progress, ...pace }: Observed) {
  return { ...progress, ...pace }
}
