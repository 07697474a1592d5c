import { mkdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import type { StoreConfig } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import type { Prices } from '../../shared/job/price.ts'
import { defined } from '../../shared/lib/defined.ts'
import { PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { type BatchProgress, hasEnded, readBatchProgress } from '../../shared/stores/batch-progress.ts'
import { createJobReader } from '../../shared/stores/job-reader.ts'
import type { JobReader } from '../../shared/stores/job-store.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { number, ofTotal } from '../batches/describe-progress.ts'
import { followBatch, type Observed } from '../batches/follow-batch.ts'
import { EVERY_MS, observeBatch } from '../batches/observe-batch.ts'
import { showOn } from '../batches/show-progress.ts'
import { exitCodeOf } from '../batches/wait-command.ts'
import { ExitCode, MisuseError } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { keepMemorySmall } from '../keep-memory-small.ts'
import { plainText } from '../plain-text.ts'
import { pricesIn } from '../prices.ts'
import { keepNotesOff, printNote, printProblem } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'
import { createSeenJobs } from '../submit/seen-jobs.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { openFailureFile } from './failure-file.ts'
import { type FormatName, formats } from './formats.ts'
import { listAsTheySettle } from './list-as-they-settle.ts'
import type { Result, WrittenResults } from './read-results.ts'
import { writeFolder } from './write-folder.ts'
import { writeResults, writeResultsFile } from './write-results.ts'

interface ResultsOptions extends StoreOptions {
  readonly output?: string
  readonly outputDir?: string
  readonly errors?: string
  readonly format: FormatName
  readonly partial?: true
  readonly wait?: true
  readonly follow?: true
  readonly quiet?: true
}

/** `promptbridge results BATCH`: the outcome of each job of a batch. */
export function resultsCommand(environment: Environment): Command {
  const command = new Command('results')
    .argument('<batch>', 'the batch of the jobs')
    .addOption(new Option('--partial', 'succeed although jobs are left').conflicts('wait'))
    .option('--wait', 'wait until all jobs are settled')
    .addOption(
      new Option('--follow', 'write each result when its job is settled, until all are').conflicts(['partial', 'wait']),
    )
    .option('--output <file>', 'write to this file; - for standard output, which is the default')
    .addOption(
      new Option('--output-dir <folder>', 'write the text of each answer to a file here').conflicts([
        'output',
        'format',
      ]),
    )
    .option('--errors <file>', 'write failed jobs to this file, as an OpenAI Batch error file')
    .addOption(
      new Option('--format <format>', 'the format of the output').choices(Object.keys(formats)).default('jsonl'),
    )
  return addHelpEnding(addStoreOptions(command), {
    examples: [
      ['promptbridge results nightly --output out.jsonl', 'write the results of a batch to a file'],
      ['promptbridge results nightly --output-dir answers', 'write one file for each answer'],
      ['promptbridge results nightly --wait --errors failed.jsonl --output out.jsonl', 'keep failed jobs apart'],
      ['promptbridge results nightly --partial | head', 'print the first of them'],
    ],
    failure: 'an answer or a record cannot be read (all others are written)',
    codes: ['incomplete'],
    isInterruptible: true,
  })
    .option('--quiet', 'print no progress and no notes')
    .exitOverride()
    .action(async (batch: string, { output, ...options }: ResultsOptions) => {
      const toFile = output === '-' ? {} : defined({ output })
      process.exitCode = await results(batch, { ...options, ...toFile }, environment)
    })
}

/** Resolves with the exit code. */
async function results(batch: string, options: ResultsOptions, environment: Environment): Promise<number> {
  const { output, errors } = options
  if (output !== undefined && errors !== undefined && resolve(output) === resolve(errors)) {
    throw new MisuseError('--output and --errors name the same file')
  }
  if (errors === '-') throw new MisuseError('--errors must name a file, because the results use standard output')
  keepNotesOff(options.quiet === true)
  keepMemorySmall()
  if (options.wait) {
    const line = createProgressLine(process.stderr)
    const onObserved = options.quiet ? () => undefined : (observed: Observed) => showOn(line, observed)
    const observation = await observeBatch(batch, { ...options, onObserved }, environment)
    line.end()
    if (observation.ended !== 'by_itself') return exitCodeOf(observation)
  }
  // Without --follow, Ctrl-C ends the process in the usual way.
  using interrupt = options.follow ? listenForInterrupt() : undefined
  const signal = interrupt?.signal ?? new AbortController().signal
  const prices = pricesIn(environment)
  try {
    return await withReaders(options, environment, (stores, { store: { kind } }) =>
      writeBatch(batch, options, { stores, kind, signal, prices }),
    )
  } catch (error) {
    if (!signal.aborted) throw error
    return ExitCode.interrupted
  }
}

interface Source {
  readonly stores: StoreReaders
  readonly kind: StoreConfig['kind']
  readonly signal: AbortSignal
  readonly prices: Prices
}

async function writeBatch(batch: string, options: ResultsOptions, source: Source): Promise<number> {
  const before = await readBatchProgress(source.stores, batch)
  if (before === undefined) throw new Error(`there is no batch "${plainText(batch)}"`)
  const written = await write(batch, options, source)
  for (const line of problemsOf(written)) printProblem(line)
  if (written.unreadable + written.torn > 0) return ExitCode.failed
  return judge(options.follow ? ((await readBatchProgress(source.stores, batch)) ?? before) : before, options)
}

async function write(
  batch: string,
  { output, outputDir, errors, format, follow: isFollowed }: ResultsOptions,
  source: Source,
): Promise<WrittenResults> {
  const reader = createJobReader(source.stores.documents)
  const failuresPath = errors ?? (outputDir === undefined ? undefined : join(outputDir, 'errors.jsonl'))
  if (failuresPath !== undefined) mkdirSync(dirname(failuresPath), { recursive: true, mode: PRIVATE_FOLDER })
  await using failures = failuresPath === undefined ? undefined : await openFailureFile(failuresPath)
  const listing = isFollowed ? follow(batch, reader, source) : reader.list(batch)
  const written = await writeTo()
  if (failures !== undefined && failures.count() > 0)
    printNote(`${number(failures.count())} failed jobs: ${failuresPath}`)
  return written

  function writeTo(): Promise<WrittenResults> {
    const isNew = isFollowed ? createFirstTime() : () => true
    if (outputDir !== undefined && failures !== undefined)
      return writeFolder(outputDir, reader, listing, { failures, isNew })
    const { header, write } = formats[format]
    const how = {
      header,
      format: (result: Result) => write(result, source.prices),
      isNew,
      isPrompt: isFollowed === true,
      isGrouped: format === 'text',
      ...defined({ failures }),
    }
    return output === undefined
      ? writeResults(process.stdout, reader, listing, how)
      : writeResultsFile(output, reader, listing, how)
  }
}

/** The records of a batch until it has ended. */
function follow(batch: string, reader: JobReader, { stores, kind, signal }: Source) {
  const looks = followBatch(stores, batch, { everyMs: EVERY_MS[kind], now: Date.now, signal })
  const list = () => reader.list(batch)
  return listAsTheySettle(looks, { list, now: Date.now, isBilled: kind === 'firestore' })
}

/** Whether a key is given for the first time. */
function createFirstTime(): (key: string) => boolean {
  const seen = createSeenJobs()
  const keyOf = (key: string) => Buffer.from(sha256(key)).toString('base64url')
  return (key) => seen.add({ key: keyOf(key), payloadHash: '0' }, 1) === undefined
}

/** A batch of which the total is not known yet is not complete either. */
function judge(progress: BatchProgress, { partial }: ResultsOptions): number {
  if (progress.state === 'complete') return ExitCode.done
  const { total, settled, name } = progress
  const left = total === undefined ? 'it is still being submitted' : `${number(total - settled)} to come`
  printProblem(`${ofTotal(progress)} jobs of ${plainText(name)}; ${left}`)
  if (hasEnded(progress)) printProblem('the batch is incomplete: the messages of these jobs are lost')
  return partial ? ExitCode.done : ExitCode.incomplete
}

function problemsOf({ unreadable, keys, torn }: WrittenResults): readonly string[] {
  return [
    ...(torn > 0 ? [`${torn} answers cannot be read; their lines contain an error`] : []),
    ...(unreadable > 0 ? [`${unreadable} records cannot be read and have no line: ${keys.join(', ')}`] : []),
  ]
}
