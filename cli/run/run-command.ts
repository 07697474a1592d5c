import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { describeCost } from '../../shared/job/price.ts'
import { quote } from '../../shared/lib/quote.ts'
import { failedIn } from '../../shared/stores/batch-progress.ts'
import { number, ofTotal } from '../batches/describe-progress.ts'
import { addDocumentOptions } from '../documents/open-inputs.ts'
import { ExitCode, MisuseError } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { invocation } from '../installation.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { addOutputOptions } from '../output-options.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson, printProblem } from '../print.ts'
import { type RunOptions, type RunResult, run } from './run.ts'

interface CommandOptions extends RunOptions {
  readonly json?: true
}

/** `promptbridge run INPUT…`: submits, works and writes the results, on this machine. */
export function runCommand(environment: Environment): Command {
  const command = new Command('run')
    .argument('<input...>', 'JSONL files with a job in each line, or documents; - for standard input')
    .option('--batch <name>', 'the batch of the jobs (default: made from the name and the content of the input)')
    .option('--demo', 'answer with a stand-in for the model: no setting is needed, and nothing is paid')
    .addOption(
      new Option(
        '--store <store>',
        'sqlite:PATH (default: STORE if it is a file, then .promptbridge/promptbridge.db)',
      ).conflicts('demo'),
    )
    .option('--output <file>', 'where the results go; - for standard output (default: INPUT-results.jsonl)')
  addOutputOptions(addDocumentOptions(command), 'print how the run ended as JSON')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge run jobs.jsonl', 'run the jobs on your own Azure OpenAI, with the login of az login'],
      ['promptbridge run docs/ --template summarize --output summaries.jsonl', 'summarize the documents of a folder'],
      ['promptbridge run jobs.jsonl --demo', 'try the same without Azure'],
      ['promptbridge run jobs.jsonl', 'after Ctrl-C: go on where it was stopped'],
    ],
    failure: 'the worker cannot run',
    codes: ['someFailed'],
    isInterruptible: true,
  })
    .exitOverride()
    .action(async (inputs: readonly string[], { json, ...options }: CommandOptions) => {
      checkOutput(inputs, options.output, json)
      using interrupt = listenForInterrupt()
      const { signal } = interrupt
      const result = await run(inputs, options, environment, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
        printProblem('interrupted. Run the same command again to go on.')
      })
      process.exitCode = result?.code ?? ExitCode.interrupted
      if (json && result) printJson(toJson(result))
      else if (result) print(describeRun(result), result.output === undefined ? process.stderr : process.stdout)
    })
}

function checkOutput(inputs: readonly string[], output: string | undefined, json: true | undefined): void {
  if (output === undefined) return
  if (output === '-' && json) throw new MisuseError('--json and --output - both print to standard output')
  if (inputs.some((input) => resolve(input) === resolve(output)))
    throw new MisuseError(`--output would replace the input ${output}`)
}

function toJson({ code: _, progress, ...result }: RunResult) {
  return { ...progress, ...result }
}

/** How a run ended, as lines for people. */
export function describeRun({ progress, output, store, cost, code }: RunResult): string {
  const batch = `jobs of batch ${plainText(progress.name)}`
  if (code === ExitCode.interrupted) {
    return `interrupted: ${ofTotal(progress)} ${batch} are settled. Run the same command again to go on.\n`
  }
  if (code === ExitCode.failed)
    return `${ofTotal(progress)} ${batch} are settled, and the messages of the others are lost\n`
  const failed = failedIn(progress)
  const more = store === undefined ? '' : ` --store ${quote(store)}`
  const lines = [
    `${number(progress.settled - failed)} of ${number(progress.settled)} ${batch} succeeded`,
    ...(cost === undefined ? [] : [`cost: ${describeCost(cost)}`]),
    ...(output === undefined ? [] : [`results: ${output}`]),
    ...(failed === 0 ? [] : [`why ${number(failed)} failed: ${invocation()} dead-letters list${more}`]),
  ]
  return `${lines.join('\n')}\n`
}
