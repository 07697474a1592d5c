import { z } from 'zod'
import type { Job } from '../../shared/job/job.ts'
import { capFields } from '../../shared/job/output-cap.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
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

/** Attributes of the failure and of the message's age. The next run gets its own. */
const OF_THE_FAILURE = /^(pb-(run|reason|error|code|hint|key|first-published)|CloudPubSubDeadLetter.*)$/

/** The attributes of the job's next run, or of its first one. */
export function attributesOf(letter: DeadLetter, run: number): Message['attributes'] {
  const carried = Object.entries(letter.attributes).filter(([name]) => !OF_THE_FAILURE.test(name))
  return { ...Object.fromEntries(carried), ...(run > 1 && { 'pb-run': String(run) }) }
}

/** Makes the message that runs a dead-lettered job again: the same data under the next run, or with the changes. */
export function makeReplay(letter: DeadLetter, data: Uint8Array, changes: ReplayChanges, now: number): Replay {
  const attributes = attributesOf(letter, letter.run + 1)
  const parsed = parseJob(data, attributes, sha256)
  if (!parsed.ok) return { kind: 'skip', why: `it is not a job: ${parsed.problem}` }
  const { deadline } = parsed.job
  if (deadline !== undefined && deadline < now) return { kind: 'skip', why: `${DEADLINE_PASSED}; edit it` }
  if (!hasChanges(changes)) return { kind: 'publish', message: { data, attributes } }
  const changed = applyChanges(data, { ...parsed.job, id: letter.jobId ?? parsed.job.id }, changes)
  if (typeof changed === 'string') return { kind: 'skip', why: changed }
  const again = parseJob(changed, attributes, sha256)
  if (!again.ok) return { kind: 'skip', why: `with these changes it is not a job: ${again.problem}` }
  return { kind: 'publish', message: { data: changed, attributes } }
}

export const DEADLINE_PASSED = 'its deadline has passed'

export function hasChanges({ model, maxOutputTokens }: ReplayChanges): boolean {
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
