import { Command } from 'commander'
import { isSettled } from '../shared/job/record.ts'
import type { Environment } from '../shared/settings-problems.ts'
import { createJobReader } from '../shared/store/job-reader.ts'
import { addStoreOptions, type StoreOptions, withStores } from './with-stores.ts'
import { writeResults, writeResultsFile } from './write-results.ts'

interface ResultsOptions extends StoreOptions {
  readonly output?: string
}

/** `promptbridge results BATCH`: what became of every job of a batch, in OpenAI's own form. */
export function resultsCommand(environment: Environment): Command {
  const command = new Command('results')
    .description('print the settled jobs of a batch as an OpenAI Batch output file')
    .argument('<batch>', 'the batch they were submitted in')
    .option('--output <file>', 'write to a file instead')
  return addStoreOptions(command)
    .exitOverride()
    .action((batch: string, options: ResultsOptions) => results(batch, options, environment))
}

async function results(batch: string, options: ResultsOptions, environment: Environment): Promise<void> {
  await withStores('read', options, environment, async ({ documents }) => {
    const reader = createJobReader(documents)
    const records = await Array.fromAsync(reader.list(batch))
    if (records.length === 0) throw new Error(`no job of batch "${batch}" has a record`)
    if (options.output === undefined) await writeResults(process.stdout, reader, records)
    else await writeResultsFile(options.output, reader, records)
    const left = records.filter((record) => !isSettled(record)).length
    if (left > 0) process.stderr.write(`promptbridge: ${left} more jobs of this batch are not settled yet\n`)
  })
}
