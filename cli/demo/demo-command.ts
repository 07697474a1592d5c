import { Command } from 'commander'
import { wholeNumber } from '../option-values.ts'
import { runDemo } from './demo.ts'

/** `promptbridge demo`: the whole way of a job, on this machine, with nothing but this package. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('summarise the READMEs of the installed packages, on stand-ins for Google Cloud and Azure')
    .option('--documents <n>', 'summarise at most this many documents (default: all)', wholeNumber)
    .option('--folder <path>', 'where the demo keeps its state and its logs', '.promptbridge')
    .option('--results <file>', 'where to write the results, as an OpenAI Batch output file', 'demo-results.jsonl')
    .option('--emulators', "keep records and messages in Google's emulators; needs the Google Cloud SDK and Java")
    .option('--json', 'print the accounts as JSON; progress goes to standard error')
    .exitOverride()
    .action(async (options) => {
      process.exitCode = await runDemo(options)
    })
}
