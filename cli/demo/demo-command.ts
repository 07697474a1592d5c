import { Command, Option } from 'commander'
import { wholeNumber } from '../option-values.ts'
import { breaks } from './breaks.ts'
import type { DemoOptions } from './demo.ts'

const NAMES = [...breaks.keys()].join(', ')

interface Given extends DemoOptions {
  /** true: it was not said what. */
  readonly break?: string | true
}

/** `promptbridge demo`: the whole way of a job, on this machine, with nothing but this package. */
export function demoCommand(): Command {
  const broken = new Option('--break [what]', `set one thing wrong, and let the doctor find it: ${NAMES}`).conflicts([
    'emulators',
    'json',
    'kill',
  ])
  const command = new Command('demo')
  return command
    .description('summarise the READMEs of the installed packages, on stand-ins for Google Cloud and Azure')
    .option('--documents <n>', 'summarise at most this many documents (default: all)', wholeNumber)
    .option('--folder <path>', 'where the demo keeps its state and its logs', '.promptbridge')
    .option('--results <file>', 'where to write the results, as an OpenAI Batch output file', 'demo-results.jsonl')
    .option('--emulators', "keep records and messages in Google's emulators; needs the Google Cloud SDK and Java")
    .option('--kill', 'kill the worker every few seconds, even during a job, and start it again')
    .option('--json', 'print the accounts as JSON; progress goes to standard error')
    .addOption(broken)
    .exitOverride()
    .action(async ({ break: what, ...options }: Given) => {
      const name = what === true ? '' : what
      const found = breaks.get(name ?? '')
      if (name !== undefined && found === undefined) command.error(`error: --break takes one of: ${NAMES}`)
      // Loaded by need: no other command is to pay for it.
      if (name === undefined || found === undefined) {
        const { runDemo } = await import('./demo.ts')
        process.exitCode = await runDemo(options)
      } else {
        const { runBreakDemo } = await import('./break-demo.ts')
        process.exitCode = await runBreakDemo(name, found, options)
      }
    })
}
