import { after } from 'node:test'
import type { z } from 'zod'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT } from '../../local/azure-openai.ts'
import type { faultSchema } from '../../local/faults.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import type { Dependencies } from '../../worker/compose.ts'
import type { ReadLimits } from '../../worker/listen.ts'
import { type Recorded, startRecordingModel } from './recording-model.ts'
import type { Answer } from './served-worker.ts'
import { type Cloud, placeFault, startCloud } from './stand-ins.ts'
import { holdAnswers, impatient, startWorker, type TestWorker, watchClock } from './worker.ts'

/** The settings of a worker that are not the usual ones, and what else of it is to be different. */
export interface Scenario {
  readonly [setting: Uppercase<string>]: string | undefined
  readonly dependencies?: Partial<Dependencies>
  readonly readLimits?: ReadLimits
}

/** A worker that a fact is about. */
export interface OnWorker extends TestWorker, Pick<ReturnType<typeof watchClock>, 'clock' | 'readAgain'> {
  /** Starts one more instance over the same store. */
  another(scenario?: Scenario): Promise<TestWorker>
}

const unlimited = { ...DEFAULT_DEPLOYMENT, requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000 }

/** The stand-ins that all facts of a test file share. Each fact ends with their faults cleared. */
export const cloud = await startCloud({ azure: { deployments: [unlimited, EMBEDDING_DEPLOYMENT] } })
after(() => cloud.close())

type StatusFault = Extract<z.input<typeof faultSchema>, { kind: 'status' }>

/** Has the shared Azure stand-in answer with an error, until the fact ends or so many times. */
export const azureAnswers = (fault: Omit<StatusFault, 'kind'>) => placeFault(cloud.azure, { kind: 'status', ...fault })

const PROMPT = 'Bridges carry people over water, in all weathers.'

/** A job of no batch. */
export const JOB = {
  ...{ id: 'doc-7', url: '/v1/chat/completions' },
  body: { messages: [{ role: 'user', content: PROMPT }] },
}
/** How a push is answered when its message is done with. */
export const DONE = { status: 204 }
/** How a push is answered when its message has to be redelivered. */
export const deferred = (reason: string) => ({ status: 503, reason })

/** Starts a worker with a store of its own, in this process, runs the fact, and stops the worker. */
export async function onWorker<T>(
  scenario: Scenario,
  fact: (worker: OnWorker) => Promise<T>,
  on: Cloud = cloud,
): Promise<T> {
  const { clock, now, readAgain } = watchClock()
  const start = ({ dependencies, readLimits, ...settings }: Scenario) =>
    startWorker(on, { settings, dependencies: { now, ...dependencies }, ...(readLimits && { readLimits }) })
  await using worker = await start(scenario)
  const another = (more: Scenario = {}) => start({ ...scenario, STORE: `sqlite:${worker.file}`, ...more })
  return await fact({ ...worker, clock, readAgain, another })
}

/** Waits for no token longer than it must: the next try is as late as it can be, and the push is short. */
export const IMPATIENT: Scenario = { ...impatient.settings, dependencies: impatient.dependencies }

export interface AskingWorker extends OnWorker {
  /** The push whose job is asked. */
  readonly pushed: Promise<Answer>
  /** Lets the model answer, from now on. */
  letGo(): void
}

/** The same, of a worker that is asking a model whose answers wait for the fact. */
export async function whileAsking(
  scenario: Scenario,
  fact: (worker: AskingWorker) => Promise<void>,
  job: object = JOB,
): Promise<void> {
  const { options, askedBy, letGo } = holdAnswers()
  await using held = await startCloud({ azure: options })
  await onWorker(
    scenario,
    async (worker) => {
      const pushed = worker.push(job)
      await askedBy(pushed)
      await fact({ ...worker, pushed, letGo })
    },
    held,
  )
}

/** The same, of a worker whose model answers every request with one text. */
export async function onModel(
  answer: string | Readonly<Parameters<typeof startRecordingModel>>,
  scenario: Scenario,
  fact: (worker: OnWorker & { readonly requests: readonly Recorded[] }) => Promise<void>,
): Promise<void> {
  await using model =
    typeof answer === 'string' ? await startRecordingModel(answer) : await startRecordingModel(...answer)
  await onWorker({ AZURE_OPENAI_ENDPOINT: model.url, ...scenario }, (worker) =>
    fact({ ...worker, requests: model.requests }),
  )
}

/** The numbers, outcomes and HTTP statuses of a record's attempts. */
export const attemptsOf = (record: JobRecord | undefined) =>
  record?.attempts.map(({ n, outcome, httpStatus }) => [n, outcome, httpStatus])

/** The answers to several pushes, each once. */
export const answersOf = (pushed: readonly Answer[]) => [
  ...new Set(pushed.map(({ status, reason = '' }) => `${status} ${reason}`.trim())),
]

/** The same job with another id. */
export const numbered = (n: number) => ({ ...JOB, id: `doc-${n}` })

/** Pushes so many jobs at once, from this number on. */
export const pushAll = ({ push }: OnWorker, count: number, from = 0) =>
  Promise.all(Array.from({ length: count }, (_, n) => push(numbered(from + n))))
