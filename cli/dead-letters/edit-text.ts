import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { indented } from '../json-text.ts'
import { plainText } from '../plain-text.ts'
import { attributesOf, DEADLINE_PASSED } from './replay-message.ts'

/* The text of a job in an editor: notes in lines that begin with #, then its JSON. */

/** The job's JSON for people, with the id by which it is known. Undefined if the data is not UTF-8 text. */
export function jobText({ jobId }: DeadLetter, data: Uint8Array): string | undefined {
  const text = decode(data)?.trim()
  if (text === undefined || !isJson(text)) return text
  const parsed = parseJob(data, {}, sha256)
  const isNamed = /"(id|custom_id)"\s*:/.test(text)
  // The id of a job without one is a hash of its data, which change here.
  const named =
    parsed.ok && !isNamed && jobId !== undefined ? text.replace('{', `{"id":${JSON.stringify(jobId)},`) : text
  return indented(named)
}

export function withNotes(text: string, notes: readonly string[]): string {
  return `${[...notes.map((note) => `# ${plainText(note)}`), text].join('\n')}\n`
}

export function withoutNotes(text: string): string {
  return text
    .replace(/^\uFEFF/, '')
    .replace(/^(#[^\n]*(\n|$)|\s)+/, '')
    .trimEnd()
}

/** What an editor shows above the job. */
export function notesOn({ reason, code, message, hint, verified }: DeadLetter, problem?: string): readonly string[] {
  return [
    ...(problem === undefined ? [] : [`This cannot be replayed: ${problem}`]),
    `${reason}${code === undefined ? '' : ` (${code})`}: ${message}`,
    ...(hint === undefined || !verified ? [] : [`To do: ${hint}`]),
    'Save the job to replay it. Leave it unchanged or empty to do nothing.',
  ]
}

export type Edited =
  | { readonly ok: true; readonly message: Message; readonly key: string; readonly id: string; readonly run: number }
  | { readonly ok: false; readonly problem: string }

/**
 * Reads an edited job as the next run of its letter.
 *
 * A message that was not a job, or whose id belongs to another one, becomes a job of its own: its first run.
 */
export function readEdited(letter: DeadLetter, text: string, now: number): Edited {
  const data = new TextEncoder().encode(text)
  const run = isOwnJob(letter) ? 1 : letter.run + 1
  const attributes = attributesOf(letter, run)
  const parsed = parseJob(data, attributes, sha256)
  if (!parsed.ok) return { ok: false, problem: parsed.problem }
  const { key, id, deadline } = parsed.job
  if (deadline !== undefined && deadline < now) return { ok: false, problem: DEADLINE_PASSED }
  const isSame = key === letter.key
  if (!isOwnJob(letter) && !isSame) return { ok: false, problem: 'its id and its batch must stay as they are' }
  if (letter.reason === 'conflict' && isSame)
    return { ok: false, problem: 'another job has this id; give it another one' }
  return { ok: true, message: { data, attributes }, key, id, run }
}

/** Whether the edited job has no record and no earlier run. */
export function isOwnJob({ key, reason }: DeadLetter): boolean {
  return key === undefined || reason === 'conflict'
}

function decode(data: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    return undefined
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
