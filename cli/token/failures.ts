import { Command, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { defined } from '../../shared/lib/defined.ts'
import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { addHelpEnding } from '../help.ts'
import { type Duration, duration, wholeNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printJson, printProblem } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { describeFailure } from './describe-failure.ts'

const DEFAULT_SINCE = '24h'
const DEFAULT_LIMIT = 50

interface FailuresOptions extends StoreOptions {
  readonly since: Duration
  readonly limit: number
  readonly json?: true
}

/** `promptbridge token failures`: when and why workers had no token that Azure accepts. */
export function failuresCommand(environment: Environment): Command {
  const since = new Option('--since <duration>', 'the time to search: 30m, 24h, 7d')
    .argParser(duration)
    .default(duration(DEFAULT_SINCE), DEFAULT_SINCE)
  const command = new Command('failures')
    .description('list when and why workers had no token that Azure accepts, and how to fix it')
    .addOption(since)
    .option('--limit <n>', 'list at most this many of the latest', wholeNumber, DEFAULT_LIMIT)
  addOutputOptions(addStoreOptions(command), 'print one line of JSON for each; times are milliseconds since 1970')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge token failures', 'list the failures of the last 24 hours'],
      ['promptbridge token failures --since 7d --json', 'list those of the last week as JSON'],
    ],
  })
    .exitOverride()
    .action((options: FailuresOptions) => failures(options, environment))
}

async function failures(options: FailuresOptions, environment: Environment): Promise<void> {
  const { since, limit, json } = options
  await withReaders(options, environment, async ({ telemetry }) => {
    const from = Date.now() - since.ms
    const { found, unreadable } = await telemetry.tokenFailures(from, limit)
    const instances = found.some(isOpen) ? (await telemetry.instances(from)).found : []
    const tokenAt = instances.find(({ token }) => token === 'good')?.at
    if (json) for (const failure of found) printJson({ ...failure, ...(isOpen(failure) && defined({ tokenAt })) })
    else if (found.length > 0) print(found.map((failure) => describeFailure(failure, tokenAt)).join('\n'))
    else if (unreadable === 0) print(`no token failures in the last ${since.text}\n`)
    if (unreadable > 0) printProblem(`${unreadable} more in the store cannot be read`)
    if (found.length + unreadable === limit) {
      printProblem(`these are the latest ${limit}; there may be more. To see more, use --limit`)
    }
  })
}

function isOpen({ resolvedAt }: TokenFailure): boolean {
  return resolvedAt === undefined
}
