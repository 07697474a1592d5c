import { Command, InvalidArgumentError, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { addHelpEnding } from '../help.ts'
import { duration, tokenNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { addStoreOptions } from '../with-stores.ts'
import { type SubmitOptions, submit } from './submit.ts'

const PRIORITIES = ['high', 'normal', 'low']

/** `promptbridge submit FILE`: checks the lines of an OpenAI Batch input file, and publishes them as jobs. */
export function submitCommand(environment: Environment): Command {
  const command = new Command('submit')
    .argument('<file>', 'a JSONL file; - for standard input')
    .option('--batch <name>', 'the batch of the jobs (default: made from the name and the content of the file)')
    .option('--check', 'only check the file: print every problem, the tokens and the price')
    .option('--skip-invalid', 'publish the other lines if some are no jobs')
    .option('--strict', 'treat warnings as errors')
    .option('--resubmit', 'publish the file of a batch again that was submitted completely')
    .option('--wait', 'wait until all jobs are settled')
    .option('--deadline <when>', 'start no job after this: a duration such as 24h, or an ISO 8601 time', deadline)
    .addOption(new Option('--priority <priority>', 'the priority of the jobs').choices(PRIORITIES))
    .option('--topic <name>', 'the topic to publish them to (default: JOBS_TOPIC)')
    .option(
      '--token-limit <n>',
      'start no more jobs of the batch after its answers have used this many tokens',
      tokenNumber,
    )
  addOutputOptions(addStoreOptions(command), 'print the counts, the problems and the estimate as JSON')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge submit jobs.jsonl --batch nightly', 'publish the jobs of a file as one batch'],
      ['promptbridge submit jobs.jsonl --check', 'print what is wrong with the file, and what it would cost'],
      ['promptbridge submit - --batch nightly < jobs.jsonl', 'read standard input'],
      ['promptbridge submit jobs.jsonl --batch nightly --token-limit 5000000', 'limit the tokens of the batch'],
      ['promptbridge submit jobs.jsonl --batch nightly --resubmit', 'publish it again; settled jobs do not run again'],
    ],
    codes: ['timeout', 'someFailed'],
    isInterruptible: true,
  })
    .exitOverride()
    .action(async (file: string, options: SubmitOptions) => {
      process.exitCode = await submit(file, options, environment)
    })
}

/** Reads a duration from now, or a time. Resolves to ISO 8601. */
function deadline(text: string): string {
  const time = Date.parse(text)
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(time)) return new Date(time).toISOString()
  if (!/^\d+[smhd]$/.test(text)) {
    throw new InvalidArgumentError('It must be a duration such as 24h, or a time such as 2026-12-01T06:00:00Z.')
  }
  return new Date(Date.now() + duration(text).ms).toISOString()
}
