import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { readStoresConfig } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import type { Cost } from '../../shared/job/price.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import { PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { countReplayed, readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import { createCostSum } from '../../shared/stores/batch-cost.ts'
import { type BatchProgress, failedIn, hasEnded, readBatchProgress } from '../../shared/stores/batch-progress.ts'
import { createJobReader } from '../../shared/stores/job-reader.ts'
import { openStores, type Stores } from '../../shared/stores/open.ts'
import { type DocumentOptions, openInputs } from '../documents/open-inputs.ts'
import { ExitCode } from '../exit-codes.ts'
import { pricesIn } from '../prices.ts'
import { printStatus } from '../print.ts'
import { readSettings } from '../read-settings.ts'
import { writeResults, writeResultsFile } from '../results/write-results.ts'
import { publishLines } from '../submit/publish-lines.ts'
import { type RunInput, readInput } from './read-input.ts'
import { checkToken, readRunSettings } from './run-settings.ts'
import { FOLDER, findRunStore, type RunStoreOptions } from './run-store.ts'
import { type RunSystem, startDemo, startOwn, TOPICS } from './run-system.ts'
import { untilEnded } from './until-ended.ts'

export interface RunOptions extends DocumentOptions, RunStoreOptions {
  readonly batch?: string
  readonly output?: string
  readonly quiet?: true
}

/** How a run ended. */
export interface RunResult {
  readonly progress: BatchProgress
  /** The file with the results. Undefined: they are on standard output, or the run was interrupted. */
  readonly output: string | undefined
  /** The value of `--store` that other commands need. Undefined: they find the file by themselves. */
  readonly store: string | undefined
  /** Of all its answers. Undefined: a price is not known, nothing is paid, or the run was interrupted. */
  readonly cost: Cost | undefined
  readonly code: number
}

/**
 * Submits files of jobs or documents, runs a worker until all their jobs are settled, and writes the results.
 *
 * The same files are the same batch, so a second run goes on where the first one was stopped. Rejects if nothing was sent,
 * if the worker cannot run, or if `signal` aborts before the first job is submitted.
 */
export async function run(
  inputs: readonly string[],
  options: RunOptions,
  environment: Environment,
  signal: AbortSignal,
): Promise<RunResult> {
  const { path, option } = findRunStore(options, environment)
  await using opened = new AsyncDisposableStack()
  const documents = opened.use(
    await openInputs(inputs, options, { environment: readSettings(environment).environment, signal }),
  )
  const input = await readInput(documents, signal)
  mkdirSync(FOLDER, { recursive: true, mode: PRIVATE_FOLDER })
  const prepared = await prepare(input, options, environment, resolve(path))
  const stores = opened.adopt(await openStores({ kind: 'sqlite', path }, IN_FILE), (own) => own.close())
  const batch = options.batch ?? input.batch
  await submitOnce(input, batch, { ...prepared, stores, signal })
  const progress = await runWorker(prepared, { path, batch, stores, signal, isQuiet: options.quiet === true })
  const known = { progress, store: option }
  if (progress.state !== 'complete') {
    const code = signal.aborted ? ExitCode.interrupted : ExitCode.failed
    return { ...known, output: undefined, cost: undefined, code }
  }
  const output = options.output ?? `${input.name}-results.jsonl`
  const sum = createCostSum(pricesIn(environment))
  await write(stores, batch, output, sum.add)
  const cost = options.demo ? undefined : sum.cost()
  return {
    ...known,
    output: output === '-' ? undefined : output,
    cost,
    code: failedIn(progress) > 0 ? ExitCode.someFailed : ExitCode.done,
  }
}

const IN_FILE = { now: Date.now, emulators: { firestore: undefined, pubsub: undefined } }

interface Prepared {
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  readonly resultTtlMs: number
  start(signal: AbortSignal): Promise<RunSystem>
}

/** Checks the settings and the login before anything is sent. */
async function prepare(
  input: RunInput,
  { demo }: RunOptions,
  environment: Environment,
  file: string,
): Promise<Prepared> {
  if (demo) {
    const { resultTtlMs } = readStoresConfig({ STORE: `sqlite:${file}` })
    const start = (signal: AbortSignal) => startDemo({ file, folder: FOLDER, models: urlsOf(input) }, signal)
    return { ...TOPICS, resultTtlMs, start }
  }
  const settings = readRunSettings(environment, file)
  await checkToken(settings, Date.now)
  const { jobsTopic, deadLetterTopic, resultTtlMs } = settings.config
  return { jobsTopic, deadLetterTopic, resultTtlMs, start: (signal) => startOwn(settings, FOLDER, signal) }
}

/** A batch that was submitted completely is not submitted again. Rejects if it was submitted with other jobs. */
async function submitOnce(
  input: RunInput,
  name: string,
  { jobsTopic: topic, ...how }: Pick<Prepared, 'jobsTopic' | 'resultTtlMs'> & Pick<Work, 'stores' | 'signal'>,
): Promise<void> {
  const before = await how.stores.batches.read(name)
  if (before !== undefined && before.status !== 'open' && before.fingerprint === input.checked.fingerprint) return
  const { stores, resultTtlMs, signal } = how
  await publishLines(input, {
    ...{ stores, name, topic, resultTtlMs, signal, attributes: { batch: name } },
    ...{ again: true, links: true },
  })
  printStatus('')
}

/** The models that jobs name, each with the url of one of them. */
function urlsOf({ checked: { models } }: RunInput): ReadonlyMap<string, string> {
  return new Map([...models].flatMap(([model, { url }]) => (model === '' ? [] : [[model, url] as const])))
}

interface Work {
  readonly path: string
  readonly batch: string
  readonly stores: Stores
  readonly signal: AbortSignal
  readonly isQuiet: boolean
}

/** Runs a worker until the batch has ended or the signal aborts. Resolves with how far it came. */
async function runWorker({ start, jobsTopic, deadLetterTopic }: Prepared, work: Work): Promise<BatchProgress> {
  const { path, batch, stores, signal } = work
  const look = async () => {
    const progress = await readBatchProgress(stores, batch)
    if (progress === undefined) throw new Error('the batch is gone')
    return progress
  }
  const before = await look()
  const replayed = (await countReplayed(path, jobsTopic, batch)) ?? 0
  if ((hasEnded(before) && replayed === 0) || signal.aborted) return before
  if ((await readBacklog(path, jobsTopic))?.isPaused) {
    throw new Error(`the delivery of jobs is paused: run promptbridge resume --store sqlite:${path}`)
  }
  try {
    const system = await start(signal)
    try {
      await Promise.race([untilEnded({ ...work, jobsTopic, deadLetterTopic }), system.broken])
    } finally {
      await system.stop()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return look()
}

async function write(
  { documents }: Stores,
  batch: string,
  output: string,
  onRecord: (record: JobRecord) => void,
): Promise<void> {
  const reader = createJobReader(documents)
  async function* listing() {
    for await (const listed of reader.list(batch)) {
      if ('record' in listed) onRecord(listed.record)
      yield listed
    }
  }
  if (output === '-') await writeResults(process.stdout, reader, listing())
  else await writeResultsFile(output, reader, listing())
}
