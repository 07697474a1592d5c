import type { StoreConfig } from '../config/config.ts'
import { jobKey } from '../job/job.ts'
import { parseJob } from '../job/parse-job.ts'
import { isSettled, type JobRecord } from '../job/record.ts'
import { defined } from '../lib/defined.ts'
import { sha256 } from '../lib/sha256.ts'
import { QueueError } from '../queues/job-queue.ts'
import { createJobReader } from '../stores/job-reader.ts'
import { emulatorsIn, openQueue, openStoreReaders } from '../stores/open.ts'
import { readIdentity } from './read-identity.ts'

/** The location of jobs and results: Pub/Sub and Firestore of a project, or one SQLite file. `database`: as FIRESTORE_DATABASE. */
export type Place = { readonly project: string; readonly database?: string } | { readonly store: `sqlite:${string}` }

interface JobFields {
  /** Names the job within its batch, 1–256 characters. Absent: the job's hash, so the same job twice is one job. */
  readonly id?: string
  /** Up to 128 characters. */
  readonly batch?: string
  /** ISO 8601 with an offset; the job is not started after it. */
  readonly deadline?: string
  /** At most 16 entries; carried to the record. */
  readonly metadata?: Readonly<Record<string, string>>
}

/** A bare prompt. */
export interface PromptJob extends JobFields {
  readonly prompt: string
  readonly model?: string
}

/** The requests of a job. They are repeated here, because the client's types must not import others. */
type Url = `${'/v1' | ''}/${'chat/completions' | 'responses' | 'embeddings'}`

/** A request in full; a line of an OpenAI Batch file is one, with its `custom_id` for an id. */
export interface RequestJob extends JobFields {
  readonly custom_id?: string
  readonly method?: 'POST'
  readonly url: Url
  /** Is sent to the model unchanged. `model` selects the deployment. */
  readonly body: Readonly<Record<string, unknown>>
}

export type JobInput = PromptJob | RequestJob

export interface Publisher extends AsyncDisposable {
  /**
   * Publishes a job and resolves with the key of its record once the message is durable.
   *
   * Rejects with an error whose `code` is `refused` (it can never be a job; the message says why) or `unavailable`.
   */
  submit(job: JobInput): Promise<string>
  /** As submit does, in the same order. `refused`: none was published. `unavailable`: submit all of them again. */
  submitAll(jobs: readonly JobInput[]): Promise<string[]>
}

/** The state or the result of a job. */
export type JobResult = {
  readonly key: string
  readonly id: string
  readonly batch: string
  readonly metadata: Readonly<Record<string, string>>
} & (
  | { readonly status: 'running' | 'waiting' }
  | {
      readonly status: 'succeeded'
      /** The model's whole answer, as Azure sent it. */
      readonly answer: unknown
      readonly usage: { readonly promptTokens: number; readonly completionTokens: number }
      /** False if the answer has no usage. `usage` is an estimate then. */
      readonly usageKnown: boolean
      /** `unknown` if the answer has none. */
      readonly finishReason: string
    }
  | {
      /** unreadable: a listing found its record, which this version cannot read; `id` is empty. */
      readonly status: 'dead_lettered' | 'cancelled' | 'expired' | 'unreadable'
      readonly error: {
        readonly kind: string
        readonly code?: string | undefined
        readonly message: string
        /** How to fix it. */
        readonly hint?: string | undefined
      }
    }
)

/** Every method rejects with an error whose `code` is `unavailable` when the store cannot be reached. */
export interface ResultReader extends AsyncDisposable {
  /** Finds a job by the key that submit returned. Undefined until a worker has begun. */
  read(key: string): Promise<JobResult | undefined>
  /** Finds a job by its id. */
  find(id: string, batch?: string): Promise<JobResult | undefined>
  /** Yields the result of every job of a batch that a worker has begun. */
  list(batch: string): AsyncIterable<JobResult>
}

/** The identity that calls Azure. */
export interface AzureIdentity {
  readonly tenantId: string
  /** The app registration's application (client) id. Only `azure-cli` needs none. */
  readonly clientId?: string
  /** The cloud of Entra. Absent: `public`. */
  readonly cloud?: 'public' | 'us-government' | 'china'
  /** As the setting TOKEN_SOURCE. Absent: `metadata-server`. */
  readonly tokenSource?: 'metadata-server' | `impersonate:${string}` | 'azure-cli'
  /** Another address of the cloud's Entra, or any address if the environment sets ALLOW_CUSTOM_HOSTS=true. */
  readonly authorityHost?: string
  /** The audience of the federated credential. Absent: the cloud's default. */
  readonly audience?: string
}

/** Has the shape of `TokenCredential`, so every client of the Azure SDK accepts it. */
export interface AzureCredential {
  /**
   * A token for the scopes of one Azure service, such as `https://storage.azure.com/.default`; one is shared by all who
   * ask for the same. `expiresOnTimestamp` is in epoch milliseconds.
   *
   * Rejects with the signal's reason, or with an error. Its `leg` names the step that failed, its `details` describe the
   * failure, and their `hint` says how to fix it.
   */
  getToken(
    scopes: string | readonly string[],
    options?: { readonly abortSignal?: AbortSignal },
  ): Promise<{ readonly token: string; readonly expiresOnTimestamp: number }>
}

/**
 * Provides tokens for any Azure service, by the same exchange as the worker and without a secret.
 *
 * Throws if a part of the identity is malformed. Sends nothing before the first call of `getToken`.
 */
export function createAzureCredential(identity: AzureIdentity): AzureCredential {
  const settings = readIdentity(identity, process.env)
  // Loads Microsoft's and Google's libraries only when a token is needed.
  const open = async () => {
    const { openAzureTokens } = await import('./azure-credential.ts')
    return openAzureTokens(settings, { now: Date.now, random: Math.random })
  }
  let opened: ReturnType<typeof open> | undefined
  return {
    async getToken(scopes, { abortSignal = new AbortController().signal } = {}) {
      opened ??= open()
      const tokens = await opened
      const { value, expiresAt } = await tokens.get([scopes].flat().join(' '), abortSignal)
      return { token: value, expiresOnTimestamp: expiresAt }
    },
  }
}

/** Opens a publisher. PUBSUB_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST select emulators. */
export async function createPublisher(to: Place & { readonly topic?: string }): Promise<Publisher> {
  const { topic = 'promptbridge-jobs' } = to
  const queue = await openQueue(storeOf(to), dependencies())
  const submitAll = async (jobs: readonly JobInput[]) => {
    const read = jobs.map(readJob)
    const messages = read.map(({ data }) => ({ data, attributes: {} }))
    await queue.publishAll(topic, messages)
    return read.map(({ key }) => key)
  }
  return {
    submitAll,
    async submit(job) {
      const { key, data } = readJob(job)
      await queue.publish(topic, { data, attributes: {} })
      return key
    },
    [Symbol.asyncDispose]: () => queue.close(),
  }
}

/** Opens a reader of results. Rejects with an error whose `code` is `unavailable` if the SQLite file does not exist. */
export async function createResultReader(from: Place): Promise<ResultReader> {
  const stores = await openStoreReaders(storeOf(from), dependencies())
  const reader = createJobReader(stores.documents)

  async function toResult(record: JobRecord): Promise<JobResult> {
    const { key, id, batch, metadata } = record
    const named = { key, id, batch, metadata }
    if (!isSettled(record)) return { ...named, status: record.status }
    if (record.status !== 'succeeded') return { ...named, status: record.status, error: record.error }
    const answer: unknown = JSON.parse((await reader.readResult(record)) ?? 'null')
    const { status, usage, usageKnown = true, finishReason } = record
    return { ...named, status, answer, usage, usageKnown, finishReason }
  }

  const read = async (key: string) => {
    const record = await reader.read(key)
    return record && toResult(record)
  }
  return {
    read,
    find: (id, batch = '') => read(jobKey(batch, id, sha256)),
    async *list(batch) {
      for await (const listed of reader.list(batch)) {
        yield 'record' in listed ? toResult(listed.record) : unreadable(listed.unreadable, batch)
      }
    },
    [Symbol.asyncDispose]: () => stores.close(),
  }
}

function unreadable(key: string, batch: string): JobResult {
  const error = { kind: 'unreadable', message: 'this version cannot read the record of the job' }
  return { key, id: '', batch, metadata: {}, status: 'unreadable', error }
}

/** Parses a job by the worker's rules, so that its sender sees a mistake at once. */
function readJob(job: JobInput): { readonly key: string; readonly data: Uint8Array } {
  const data = Buffer.from(JSON.stringify(job))
  const parsed = parseJob(data, {}, sha256)
  if (!parsed.ok) throw new QueueError('refused', `This is not a job: ${parsed.problem}`)
  return { key: parsed.job.key, data }
}

function storeOf(place: Place): StoreConfig {
  if (!('project' in place)) return { kind: 'sqlite', path: place.store.slice('sqlite:'.length) }
  const { project, database } = place
  return { kind: 'firestore', project, ...defined({ database }) }
}

function dependencies() {
  return { now: Date.now, emulators: emulatorsIn(process.env) }
}
