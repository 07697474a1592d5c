import { Command, Option } from 'commander'
import { MisuseError } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { wholeNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { breaks } from './breaks.ts'
import type { DemoOptions } from './demo.ts'

const NAMES = [...breaks.keys()].join(', ')

interface Given extends DemoOptions {
  /** true: the option has no value. */
  readonly break?: string | true
}

/** `promptbridge demo`: runs jobs from the queue to the result, on this machine, with only this package. */
export function demoCommand(): Command {
  const broken = new Option('--break [what]', `make one setting wrong, and let the doctor find it: ${NAMES}`).conflicts(
    ['emulators', 'json', 'kill'],
  )
  const command = new Command('demo')
  addHelpEnding(command, {
    examples: [
      ['promptbridge demo', 'run jobs from the queue to the results'],
      ['promptbridge demo --kill --documents 60', 'kill the worker again and again'],
      ['promptbridge demo --break subject', 'make one setting wrong, and let the doctor find it'],
    ],
    failure: 'the accounts do not agree, the doctor missed a fault',
    needsSettings: false,
    isInterruptible: true,
  })
    .option('--documents <n>', 'summarise at most this many documents (default: all)', wholeNumber)
    .option('--folder <path>', 'the folder of the state and the logs of the demo', '.promptbridge')
    .option(
      '--results <file>',
      'the file for the results, in the format of an OpenAI Batch output file',
      'demo-results.jsonl',
    )
    .option('--emulators', "use Google's emulators of Firestore and Pub/Sub; needs the Google Cloud SDK and Java")
    .option('--kill', 'kill the worker every few seconds, even during a job, and start it again')
    .addOption(broken)
  return addOutputOptions(command, 'print the accounts as JSON; progress goes to standard error')
    .exitOverride()
    .action(async ({ break: what, ...options }: Given) => {
      if (options.results === '-')
        throw new MisuseError('--results must name a file, because the accounts use standard output')
      const name = what === true ? '' : what
      const found = breaks.get(name ?? '')
      if (name !== undefined && found === undefined) command.error(`error: --break takes one of: ${NAMES}`)
      // Loaded only when needed, so that other commands start faster.
      if (name === undefined || found === undefined) {
        const { runDemo } = await import('./demo.ts')
        process.exitCode = await runDemo(options)
      } else {
        const { runBreakDemo } = await import('./break-demo.ts')
        process.exitCode = await runBreakDemo(name, found, options)
      }
    })
}
