/// <reference lib="esnext.disposable" preserve="true" />

/* The types of the client. They import nothing, because the package has no other types. */

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

/** A chat completion whose prompt is a template, with a value for each of its variables. */
export interface TemplateJob extends JobFields {
  /** A template that is part of the product, or the text of your own in the same format. */
  readonly template: 'summarize' | 'extract' | { readonly text: string; readonly name?: string }
  readonly variables?: Readonly<Record<string, string>>
  /** Absent: the model of the template, or that of the first deployment. */
  readonly model?: string
}

export type JobInput = PromptJob | RequestJob | TemplateJob

/** What is closed by `await using`, or by `close`. */
export interface Closable extends AsyncDisposable {
  close(): Promise<void>
}

export interface SubmitOptions {
  /**
   * The name of a batch that has exactly these jobs. It completes when they have ended, as one that the command submits.
   * Without it, jobs that name a batch are found by it, and the batch has no total and no end.
   */
  readonly batch?: string
  /** The batch stops at this number of tokens. */
  readonly tokenLimit?: number
  /** Whether the same jobs may be submitted to the batch again. Jobs that have a record are not run again. */
  readonly resubmit?: boolean
}

export interface Publisher extends Closable {
  /**
   * Publishes a job and resolves with the key of its record once the message is durable.
   *
   * Rejects with an error whose `code` is `refused` (it can never be a job; the message says why) or `unavailable`.
   */
  submit(job: JobInput): Promise<string>
  /**
   * As submit does, in the same order. `refused`: none was published. `unavailable`: submit all of them again. `exists`: the
   * batch was submitted before.
   */
  submitAll(jobs: readonly JobInput[], options?: SubmitOptions): Promise<string[]>
}

/** Tokens as the model billed them. */
export interface Usage {
  /** All tokens of the prompt, with those that were cached. */
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens?: number | undefined
  readonly cacheWriteTokens?: number | undefined
}

/** An estimate by list prices, or by those of PRICES_FILE. */
export interface EstimatedCost {
  readonly usd: number
  /** The day of the prices: `2026-11-27`. */
  readonly asOf: string
}

export interface JobError {
  readonly kind: string
  readonly code?: string | undefined
  readonly message: string
  /** How to fix it. */
  readonly hint?: string | undefined
}

/** The state or the result of a job. */
export type JobResult = {
  readonly key: string
  readonly id: string
  readonly batch: string
  readonly metadata: Readonly<Record<string, string>>
  /** Of all its attempts whose tokens are known. Absent if a price is not known. */
  readonly cost?: EstimatedCost
} & (
  | { readonly status: 'running' | 'waiting' }
  | {
      readonly status: 'succeeded'
      /** The model's whole answer, as Azure sent it. */
      readonly answer: unknown
      /** What the model said, as plain text. Absent if the answer has no text, as an embedding has none. */
      readonly text?: string
      readonly usage: Usage
      /** False if the answer has no usage. `usage` is an estimate then. */
      readonly usageKnown: boolean
      /** `unknown` if the answer has none. */
      readonly finishReason: string
      /** The batch in which the model gave the answer. Present if this job was not asked, because it was asked there before. */
      readonly linkedFrom?: string
    }
  | {
      /** unreadable: a listing found its record, which this version cannot read; `id` is empty. */
      readonly status: 'dead_lettered' | 'cancelled' | 'expired' | 'unreadable'
      readonly error: JobError
    }
)

/** Every method rejects with an error whose `code` is `unavailable` when the store cannot be reached. */
export interface ResultReader extends Closable {
  /** Finds a job by the key that submit returned. Undefined until a worker has begun. */
  read(key: string): Promise<JobResult | undefined>
  /** Finds a job by its id. */
  find(id: string, batch?: string): Promise<JobResult | undefined>
  /** Yields the result of every job of a batch that a worker has begun. */
  list(batch: string): AsyncIterable<JobResult>
}

/** How far a batch has come. */
export interface BatchCounts {
  /** submitting: not all jobs are published. incomplete: the messages of some jobs are lost, and the others have ended. */
  readonly state: 'submitting' | 'running' | 'complete' | 'incomplete'
  readonly isCancelled: boolean
  /** Undefined until all jobs are published. */
  readonly total: number | undefined
  /** Jobs that no worker has begun with. Undefined while the total is. */
  readonly notStarted: number | undefined
  readonly running: number
  /** For their next attempt. */
  readonly waiting: number
  readonly succeeded: number
  readonly deadLettered: number
  readonly cancelled: number
  readonly expired: number
  /** Dead-lettered jobs by the kind of their error. */
  readonly failures: Readonly<Record<string, number>>
  /** How many of them `failures` counts, if not all: in Firestore at most 1,000. */
  readonly failuresOf?: number
  /** Of the jobs that succeeded. */
  readonly usage: Usage
}

export interface WaitOptions {
  readonly signal?: AbortSignal
  /** Rejects with code `timeout` after this time, in milliseconds. Absent: waits until the batch ends. */
  readonly timeoutMs?: number
  /** How often the batch is read, in milliseconds. Absent: 2,000. */
  readonly everyMs?: number
  /** Is called each time that the batch is read. */
  readonly onCounts?: (counts: BatchCounts) => void
}

export interface BatchHandle {
  readonly name: string
  /** Undefined if there is no such batch. */
  counts(): Promise<BatchCounts | undefined>
  /** An estimate for the jobs that have ended so far; of a large batch, by a sample. Undefined if a price is not known. */
  cost(): Promise<EstimatedCost | undefined>
  /** Resolves when the batch is complete or incomplete. Rejects with code `not_found` if there is no such batch. */
  wait(options?: WaitOptions): Promise<BatchCounts>
  /** The result of every job that a worker has begun, one at a time. */
  results(): AsyncIterable<JobResult>
  /** Cancels all jobs that have not ended. Rejects with code `not_found` if there is no such batch. */
  cancel(): Promise<void>
}

/** Publishes jobs and reads what became of them. What needs a store opens it when it is first used. */
export interface Client extends Publisher {
  /** Finds a job by the key that submit returned. Undefined until a worker has begun. */
  read(key: string): Promise<JobResult | undefined>
  /** Finds a job by its id. */
  find(id: string, batch?: string): Promise<JobResult | undefined>
  batch(name: string): BatchHandle
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
