import { z } from 'zod'
import type { Job } from '../../shared/job/job.ts'
import { capFields } from '../../shared/job/output-cap.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { isSettled, type JobRecord } from '../../shared/job/record.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'

/** Changes that a replay makes to the job. */
export interface ReplayChanges {
  readonly model?: string
  /** The most tokens of the answer. */
  readonly maxOutputTokens?: number
}

export type Replay =
  | { readonly kind: 'publish'; readonly message: Message }
  /** The letter is not replayed; `why` is a phrase. */
  | { readonly kind: 'skip'; readonly why: string }

/** A job that failed in this many runs is not replayed, because it would fail again. */
export const MAX_RUNS = 5

/** Attributes of the failure and of the message's age. The next run gets its own. */
const OF_THE_FAILURE = /^(pb-(run|reason|error|code|hint|key|first-published)|CloudPubSubDeadLetter.*)$/

/**
 * Makes the message that runs a dead-lettered job again: the same data under the next run, or with the changes.
 *
 * `record`: the job's record, if it has one. A job that has succeeded since then, or that is running, is not replayed.
 */
export function makeReplay(
  letter: DeadLetter,
  data: Uint8Array,
  record: JobRecord | undefined,
  changes: ReplayChanges,
): Replay {
  const obstacle = findObstacle(letter, record)
  if (obstacle !== undefined) return { kind: 'skip', why: obstacle }
  const carried = Object.entries(letter.attributes).filter(([name]) => !OF_THE_FAILURE.test(name))
  const attributes = { ...Object.fromEntries(carried), 'pb-run': String(letter.run + 1) }
  const parsed = parseJob(data, attributes, sha256)
  if (!parsed.ok) return { kind: 'skip', why: `it is not a job: ${parsed.problem}` }
  if (!hasChanges(changes)) return { kind: 'publish', message: { data, attributes } }
  const changed = applyChanges(data, { ...parsed.job, id: letter.jobId ?? parsed.job.id }, changes)
  if (typeof changed === 'string') return { kind: 'skip', why: changed }
  const again = parseJob(changed, attributes, sha256)
  if (!again.ok) return { kind: 'skip', why: `with these changes it is not a job: ${again.problem}` }
  return { kind: 'publish', message: { data: changed, attributes } }
}

function findObstacle({ run, reason, replays }: DeadLetter, record: JobRecord | undefined): string | undefined {
  if (reason === 'conflict') return 'another job has the same id; publish it with another id'
  if (record?.status === 'succeeded') return 'it has succeeded since then'
  if (record !== undefined && record.run > run) return 'a later run has begun'
  if (record !== undefined && !isSettled(record)) return 'it is not settled yet'
  if (replays.n > 0) return 'it was replayed before; to replay it again, use --again'
  return run >= MAX_RUNS ? `it has failed in ${run} runs; find the cause first` : undefined
}

function hasChanges({ model, maxOutputTokens }: ReplayChanges): boolean {
  return model !== undefined || maxOutputTokens !== undefined
}

const fields = z.looseObject({ url: z.string().optional(), prompt: z.string().optional() })

/** The changed data, or why they cannot be changed. Numbers in the rest of the body keep all their digits. */
function applyChanges(data: Uint8Array, job: Job, { model, maxOutputTokens }: ReplayChanges): Uint8Array | string {
  const { url = '', body: _, prompt, ...rest } = fields.parse(JSON.parse(new TextDecoder().decode(data)))
  // The id of a job without one is a hash of its data, which change here.
  const named = 'custom_id' in rest ? rest : { ...rest, id: job.id }
  const modelled = model === undefined ? {} : { model }
  if (prompt !== undefined) {
    if (maxOutputTokens !== undefined) return 'a bare prompt has no token limit'
    return toData({ ...named, prompt, ...modelled })
  }
  const limited = maxOutputTokens === undefined ? {} : limitsOf(url, job.body, maxOutputTokens)
  return toData({ ...named, url, body: { ...job.body, ...modelled, ...limited } })
}

/** Sets the limit in each field that already limits the answer, or in the usual field if there is none. */
function limitsOf(url: string, body: object, limit: number): Readonly<Record<string, number>> {
  const used = capFields.filter((name) => name in body)
  const usual = url.endsWith('/responses') ? 'max_output_tokens' : 'max_completion_tokens'
  return Object.fromEntries((used.length === 0 ? [usual] : used).map((name) => [name, limit]))
}

function toData(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
