import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PRIVATE_FOLDER } from '../../shared/lib/private-files.ts'
import { openStores, type Stores } from '../../shared/stores/open.ts'
import { startChild } from '../child-process.ts'
import { freePort } from '../free-port.ts'
import { packagesFolder, programFile } from '../installation.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { type LocalStandIns, startStandIns } from '../local-system.ts'
import { printStyled } from '../print.ts'
import { TOPICS } from './backend.ts'
import type { Break } from './breaks.ts'
import { readCalls } from './call-log.ts'
import { summaryJobs } from './demo-jobs.ts'
import { findDocuments } from './documents.ts'
import { openEmbeddedBackend } from './embedded-backend.ts'
import { judgeBreak, type ScenarioResult } from './judge-break.ts'
import { lockFolder } from './lock-folder.ts'
import { describeBreak, describeResult } from './print-break.ts'
import { deadLetterKeys } from './until-recorded.ts'

const DOCUMENTS = 20
/** Long enough for a few retries. */
const TRY_MS = 4_000
const STAND_INS = { maxOutstanding: 40, ackDeadlineMs: 60_000, retry: { minBackoffMs: 200, maxBackoffMs: 3_000 } }
const WORKER = { ACK_DEADLINE_SECONDS: '60', MODEL_TIMEOUT_SECONDS: '2', MAX_ATTEMPTS: '10' }
const EXIT_INTERRUPTED = 130

export interface BreakOptions {
  readonly documents?: number
  readonly folder: string
  readonly quiet?: true
}

/**
 * Runs the worker with one wrong setting, and then the doctor.
 *
 * Resolves with the exit code: 0 only when no job is lost and the doctor reports the fault and how to fix it.
 */
export async function runBreakDemo(name: string, broken: Break, options: BreakOptions): Promise<number> {
  using interrupt = listenForInterrupt()
  const { signal } = interrupt
  const jobs = options.documents ?? DOCUMENTS
  if (!options.quiet) printStyled(describeBreak(name, broken, jobs))
  try {
    const result = await breakAndLook(broken, jobs, options.folder, signal)
    const problems = judgeBreak(broken, result)
    printStyled(describeResult(broken, result, problems))
    return problems.length === 0 ? 0 : 1
  } catch (error) {
    if (!signal.aborted) throw error
    return EXIT_INTERRUPTED
  }
}

async function breakAndLook(broken: Break, jobs: number, path: string, signal: AbortSignal): Promise<ScenarioResult> {
  await using opened = new AsyncDisposableStack()
  const { folder, file } = openFolder(path, opened)
  const backend = opened.use(await openEmbeddedBackend(file))
  const stores = opened.adopt(await openStores({ kind: 'sqlite', path: file }, IN_FILE), (own) => own.close())
  const worker = { ...WORKER, ...backend.worker, ...broken.settings?.(`127.0.0.1:${await freePort()}`) }
  const standIns = { ...STAND_INS, wrong: broken.elsewhere ?? {} }
  const system = opened.adopt(
    await startStandIns({ folder, state: file, ...TOPICS, standIns, worker }, signal),
    (running) => running.stop(),
  )
  const { control } = system
  const total = await publishJobs(stores, jobs, system)
  const isWorkerStarted = await runWorkerBriefly(system, broken, signal)
  return {
    jobs: total,
    waiting: await backend.countLeft(control, total, signal),
    deadLettered: (await deadLetterKeys(stores.deadLetters)).size,
    paidCalls: (await readCalls(control.azure)).filter(({ detail }) => detail['billed'] === true).length,
    exchanges: await countExchanges(control.entra),
    failures: (await stores.telemetry.tokenFailures(0, 10)).found,
    isWorkerStarted,
    // Last, so that the doctor's calls are not counted as the worker's.
    doctor: await runDoctorProcess(folder, system.environment),
  }
}

const IN_FILE = { now: Date.now, emulators: { firestore: undefined, pubsub: undefined } }

/** A folder beside the state of the other demo, which is not touched. Files of an earlier run are removed. */
function openFolder(path: string, opened: AsyncDisposableStack): { folder: string; file: string } {
  const folder = resolve(path, 'broken')
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER })
  opened.use(lockFolder(folder))
  const file = join(folder, 'broken.db')
  for (const left of [file, `${file}-wal`, `${file}-shm`, join(folder, 'worker.log'), join(folder, DOCTOR_LOG)]) {
    rmSync(left, { force: true })
  }
  return { folder, file }
}

async function publishJobs({ queue }: Stores, jobs: number, { model, filteredPhrase }: LocalStandIns): Promise<number> {
  const documents = findDocuments(packagesFolder()).slice(0, jobs)
  const lines = summaryJobs(documents, { model, filteredPhrase, tooManyBytes: 1 }).slice(0, documents.length)
  // A job that names no model uses the worker's default deployment.
  const messages = lines.map(({ body: { model: _, ...body }, ...line }) => ({
    data: Buffer.from(JSON.stringify({ ...line, body })),
    attributes: { batch: 'broken' },
  }))
  await queue.publishAll(TOPICS.jobsTopic, messages)
  return messages.length
}

/** Resolves with whether the worker started. It has ended then, and has released its jobs. */
async function runWorkerBriefly(system: LocalStandIns, broken: Break, signal: AbortSignal): Promise<boolean> {
  try {
    const worker = await system.startWorker(signal)
    await Promise.race([delay(TRY_MS, undefined, { signal }), system.broken]).finally(() => worker.stop())
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (broken.isRefusedAtStart !== true) throw error
    return false
  }
}

/** An unknown tenant is already rejected at discovery. */
async function countExchanges(entra: string): Promise<number> {
  const calls = await readCalls(entra)
  const isExchange = ({ operation, status }: (typeof calls)[number]) =>
    operation === 'token' || (operation === 'discovery' && status !== 200)
  return calls.filter(isExchange).length
}

const DOCTOR_LOG = 'doctor.log'

/** `promptbridge doctor` as a user runs it, with the worker's settings. */
async function runDoctorProcess(
  folder: string,
  environment: Readonly<Record<string, string>>,
): Promise<ScenarioResult['doctor']> {
  const doctor = startChild({
    name: 'the doctor',
    file: programFile('cli'),
    args: ['doctor'],
    folder,
    environment,
    log: DOCTOR_LOG,
    isHeard: false,
  })
  const code = await doctor.exited
  return { code, output: readFileSync(doctor.logPath, 'utf8') }
}
