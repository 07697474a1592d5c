import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { failedIn } from '../../shared/stores/batch-progress.ts'
import { ExitCode } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { type Duration, duration } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'
import { addStoreOptions, type StoreOptions } from '../with-stores.ts'
import { describeProgress } from './describe-progress.ts'
import { type Observation, observeBatch } from './observe-batch.ts'
import { showOn } from './show-progress.ts'

interface WaitOptions extends StoreOptions {
  readonly timeout?: Duration
  readonly json?: true
  readonly quiet?: true
}

/** `promptbridge wait NAME`: ends when the batch has ended. */
export function waitCommand(environment: Environment): Command {
  const command = new Command('wait')
    .argument('<name>', 'the batch')
    .option('--timeout <duration>', 'wait at most so long: 30m, 24h, 7d (default: without a limit)', duration)
  addOutputOptions(addStoreOptions(command), 'print the batch as JSON, at the end')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge wait nightly', 'wait until all jobs of a batch are settled'],
      ['promptbridge wait nightly --timeout 2h', 'wait two hours at most'],
    ],
    failure: 'there is no such batch, or it can never be complete',
    codes: ['timeout', 'someFailed'],
    isInterruptible: true,
  })
    .exitOverride()
    .action(async (name: string, { timeout, json, quiet, ...store }: WaitOptions) => {
      const line = createProgressLine(process.stderr)
      const options = { ...store, ...(timeout && { timeoutMs: timeout.ms }) }
      const onObserved = quiet ? undefined : (observed: Observation['observed']) => showOn(line, observed)
      const observation = await observeBatch(name, { ...options, ...(onObserved && { onObserved }) }, environment)
      line.end()
      const { observed, cost } = observation
      if (json) printJson({ ...observed.progress, cost })
      else print(describeProgress(observed, cost))
      process.exitCode = exitCodeOf(observation)
    })
}

/** Exported for `submit --wait` and `run`. */
export function exitCodeOf({ ended, observed: { progress } }: Omit<Observation, 'cost'>): number {
  if (ended !== 'by_itself') return ended === 'timeout' ? ExitCode.timeout : ExitCode.interrupted
  if (progress.state !== 'complete') return ExitCode.failed
  return failedIn(progress) > 0 ? ExitCode.someFailed : ExitCode.done
}
