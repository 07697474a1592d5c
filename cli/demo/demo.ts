import { join } from 'node:path'
import { createJobReader } from '../../shared/stores/job-reader.ts'
import { ExitCode } from '../exit-codes.ts'
import { packagesFolder } from '../installation.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { type LocalSystemOptions, startLocalSystem } from '../local-system.ts'
import { printJson, printStyled } from '../print.ts'
import { writeResultsFile } from '../results/write-results.ts'
import { account } from './account.ts'
import { type DemoBackend, TOPICS } from './backend.ts'
import { summaryJobs } from './demo-jobs.ts'
import { openDemoState } from './demo-state.ts'
import { findDocuments } from './documents.ts'
import { openEmbeddedBackend } from './embedded-backend.ts'
import { gatherEvidence } from './evidence.ts'
import { placeFaults } from './faults.ts'
import { type KilledSystem, startKilledSystem } from './kill-worker.ts'
import { describeDemo, introduction, stopped, stopping } from './print-demo.ts'
import { createProgress } from './progress.ts'
import { submit } from './submit.ts'
import { untilDone } from './until-done.ts'
import { untilRecorded } from './until-recorded.ts'

/** Fast enough for a demo: short model times, and early redelivery. */
const STAND_INS = {
  maxOutstanding: 40,
  maxPauseMs: 1_000,
  ackDeadlineMs: 60_000,
  retry: { minBackoffMs: 200, maxBackoffMs: 3_000 },
  contextWindow: 128_000,
  latency: { baseMs: 250, perOutputTokenMs: 3, spread: 0.4 },
  // A token is not used in its last 30 s, so each of these is used for 6 s, and there are several exchanges.
  tokenLifetimeSeconds: 36,
}
/** A token is about four bytes, so this is more than the model's context holds. */
const TOO_MANY_BYTES = 4 * STAND_INS.contextWindow + 10_000
/** The leases of a killed worker last a quarter longer than the model timeout. */
const WORKER = { ACK_DEADLINE_SECONDS: '60', MODEL_TIMEOUT_SECONDS: '10', MAX_ATTEMPTS: '10' }

export interface DemoOptions {
  readonly documents?: number
  readonly folder: string
  readonly results: string
  readonly emulators?: true
  /** Whether the worker is killed every few seconds. */
  readonly kill?: true
  readonly json?: true
  readonly quiet?: true
}

/** Runs one batch through the real worker. Resolves with the exit code: 0 only when every job is accounted for. */
export async function runDemo(options: DemoOptions): Promise<number> {
  using interrupt = listenForInterrupt()
  const { signal } = interrupt
  const out = options.json ? process.stderr : process.stdout
  signal.addEventListener('abort', () => options.quiet || printStyled(stopping(), out))
  let goesOn = false
  const onPublished = () => {
    goesOn = options.emulators !== true
  }
  try {
    const problems = await runBatch(options, { out, onPublished, signal })
    return problems === 0 ? 0 : 1
  } catch (error) {
    if (!signal.aborted) throw error
    printStyled(stopped(goesOn), out)
    return ExitCode.interrupted
  }
}

const NO_SCREEN = { write: () => true }

interface DemoRun {
  readonly out: NodeJS.WriteStream
  /** Called once all jobs are published. */
  readonly onPublished: () => void
  readonly signal: AbortSignal
}

/** Resolves with the number of problems. Rejects when `signal` is aborted; all processes have ended then. */
async function runBatch(options: DemoOptions, { out, onPublished, signal }: DemoRun): Promise<number> {
  await using opened = new AsyncDisposableStack()
  const documents = findDocuments(packagesFolder()).slice(0, options.documents)
  const state = opened.use(await openDemoState(stateFolder(options), Date.now(), !options.emulators))
  const { folder, file, batch } = state
  if (state.goesOn) onPublished()
  if (!options.quiet) printStyled(introduction(state, options), out)
  const backend = opened.use(await openBackend(options, file))
  const standIns = { ...STAND_INS, ...backend.standIns }
  const settings = { folder, state: file, ...TOPICS, standIns, worker: { ...WORKER, ...backend.worker } }
  const system = opened.adopt(await startSystem(options, settings, signal), (running) => running.stop())
  const { control, workerLog } = system
  const reader = createJobReader(backend.stores.documents)
  await placeFaults(system)
  await backend.connect(control)

  const purposes = { model: system.model, filteredPhrase: system.filteredPhrase, tooManyBytes: TOO_MANY_BYTES }
  const total = await submit(state, backend.stores.queue, TOPICS.jobsTopic, summaryJobs(documents, purposes))
  onPublished()
  const progress = createProgress(options.quiet ? NO_SCREEN : out, total)
  const look = async () => progress.show(await reader.countByStatus(batch.name))
  const countLeft = (waiting: AbortSignal) => backend.countLeft(control, total, waiting)
  await Promise.race([untilDone({ countLeft, workerLog }, look, signal), system.broken]).finally(progress.end)
  const deadLetterKeys = await untilRecorded(backend.stores.deadLetters, reader, batch.name, signal)
  await system.stopWorker()

  const evidence = await gatherEvidence({ control, reader, deadLetterKeys, batch: batch.name, total })
  const accounts = { ...account(evidence), ...(options.kill && { kills: system.kills() }) }
  const inOrder = evidence.records.toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((record) => ({ record }))
  await writeResultsFile(options.results, reader, inOrder)
  await state.batches.end(batch.name, { as: 'completed', total, at: Date.now() })
  const { records } = evidence
  const { results } = options
  if (options.json) printJson({ batch: batch.name, ...accounts })
  else {
    const outcome = { accounts, documents, records, reader, batch: batch.name, store: backend.storeOption, results }
    printStyled(await describeDemo(outcome), out)
  }
  return accounts.problems.length
}

async function startSystem(
  { kill }: DemoOptions,
  settings: LocalSystemOptions,
  signal: AbortSignal,
): Promise<KilledSystem> {
  if (kill) return startKilledSystem(settings, signal)
  return { ...(await startLocalSystem(settings, signal)), kills: () => 0 }
}

/** The emulators keep nothing after the demo, so a demo on them is never continued and has a folder of its own. */
function stateFolder({ folder, emulators }: DemoOptions): string {
  return emulators ? join(folder, 'emulators') : folder
}

/** Google's libraries are loaded only when they are needed. */
async function openBackend({ emulators }: DemoOptions, file: string): Promise<DemoBackend> {
  if (!emulators) return openEmbeddedBackend(file)
  const { openEmulatorBackend } = await import('./emulator-backend.ts')
  return openEmulatorBackend()
}
