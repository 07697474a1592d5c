import { Command } from 'commander'
import type { Environment } from '../shared/config/rules.ts'
import { createJobReader } from '../shared/stores/job-reader.ts'
import { addHelpEnding } from './help.ts'
import { plainText } from './plain-text.ts'
import { printProblem } from './print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from './with-stores.ts'
import { type WrittenResults, writeResults, writeResultsFile } from './write-results.ts'

interface ResultsOptions extends StoreOptions {
  readonly output?: string
}

/** `promptbridge results BATCH`: the outcome of each job of a batch, in OpenAI's Batch format. */
export function resultsCommand(environment: Environment): Command {
  const command = new Command('results')
    .argument('<batch>', 'the batch of the jobs')
    .option('--output <file>', 'write to this file instead of standard output')
  return addHelpEnding(addStoreOptions(command), {
    examples: [
      ['promptbridge results nightly --output out.jsonl', 'write the results of a batch to a file'],
      ['promptbridge results nightly | head', 'print the first of them'],
    ],
    failure: 'an answer or a record cannot be read (all others are written)',
  })
    .exitOverride()
    .action(async (batch: string, options: ResultsOptions) => {
      process.exitCode = await results(batch, options, environment)
    })
}

/** Resolves with the exit code: 1 when a record or an answer cannot be read. All others are written. */
async function results(batch: string, options: ResultsOptions, environment: Environment): Promise<number> {
  const written = await withReaders(options, environment, async ({ documents }) => {
    const reader = createJobReader(documents)
    const records = await unlessEmpty(reader.list(batch))
    if (records === undefined) throw new Error(`no job of batch "${plainText(batch)}" has a record`)
    if (options.output === undefined) return writeResults(process.stdout, reader, records)
    return writeResultsFile(options.output, reader, records)
  })
  for (const line of notesOn(written)) printProblem(line)
  return written.unreadable + written.torn === 0 ? 0 : 1
}

function notesOn({ left, unreadable, keys, torn }: WrittenResults): readonly string[] {
  return [
    ...(left > 0 ? [`${left} more jobs of this batch are not settled yet`] : []),
    ...(torn > 0 ? [`${torn} answers cannot be read; their lines contain an error`] : []),
    ...(unreadable > 0 ? [`${unreadable} records cannot be read and have no line: ${keys.join(', ')}`] : []),
  ]
}

/** The same items; undefined if there is none. No item is read twice. */
async function unlessEmpty<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T> | undefined> {
  const rest = items[Symbol.asyncIterator]()
  const first = await rest.next()
  if (first.done) return undefined
  async function* all() {
    yield first.value
    yield* { [Symbol.asyncIterator]: () => rest }
  }
  return all()
}
