import { Command, InvalidArgumentError, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { addDocumentOptions } from '../documents/open-inputs.ts'
import { addHelpEnding } from '../help.ts'
import { duration, tokenNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { addStoreOptions } from '../with-stores.ts'
import { type SubmitOptions, submit } from './submit.ts'

const PRIORITIES = ['high', 'normal', 'low']

/** `promptbridge submit INPUT…`: checks the lines of OpenAI Batch input files, or documents, and publishes them as jobs. */
export function submitCommand(environment: Environment): Command {
  const command = new Command('submit')
    .argument('<input...>', 'JSONL files with a job in each line, or documents; - for standard input')
    .option('--batch <name>', 'the batch of the jobs (default: made from the name and the content of the input)')
    .option('--check', 'only check the input: print every problem, the tokens and the price')
    .option('--dry-run', 'the same as --check, and print the prompt of the first document')
    .option('--skip-invalid', 'publish the others if some lines or documents are no jobs')
    .option('--strict', 'treat warnings as errors')
    .option(
      '--resubmit',
      'publish the file of a batch again that was submitted completely, and link no earlier answers',
    )
    .option('--wait', 'wait until all jobs are settled')
    .option('--deadline <when>', 'start no job after this: a duration such as 24h, or an ISO 8601 time', deadline)
    .addOption(new Option('--priority <priority>', 'the priority of the jobs').choices(PRIORITIES))
    .option('--topic <name>', 'the topic to publish them to (default: JOBS_TOPIC)')
    .option(
      '--token-limit <n>',
      'start no more jobs of the batch after its answers have used this many tokens',
      tokenNumber,
    )
  addOutputOptions(
    addStoreOptions(addDocumentOptions(command)),
    'print the counts, the problems and the estimate as JSON',
  )
  return addHelpEnding(command, {
    examples: [
      ['promptbridge submit jobs.jsonl --batch nightly', 'publish the jobs of a file as one batch'],
      ['promptbridge submit jobs.jsonl --check', 'print what is wrong with the file, and what it would cost'],
      ['promptbridge submit docs/ --template summarize --model gpt-4.1-mini --dry-run', 'what documents would cost'],
      ['promptbridge submit table.csv --template ask.md', 'make a job of each row'],
      ['promptbridge submit - --batch nightly < jobs.jsonl', 'read standard input'],
      ['promptbridge submit jobs.jsonl --batch nightly --token-limit 5000000', 'limit the tokens of the batch'],
      ['promptbridge submit jobs.jsonl --batch nightly --resubmit', 'publish it again; settled jobs do not run again'],
    ],
    codes: ['timeout', 'someFailed'],
    isInterruptible: true,
  })
    .exitOverride()
    .action(async (inputs: readonly string[], options: SubmitOptions) => {
      process.exitCode = await submit(inputs, options, environment)
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
