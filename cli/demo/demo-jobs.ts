import type { Document } from './documents.ts'

/** A line of an OpenAI Batch file. */
export interface BatchLine {
  readonly custom_id: string
  readonly method: 'POST'
  readonly url: '/v1/chat/completions'
  readonly body: Readonly<Record<string, unknown>>
  readonly metadata: Readonly<Record<string, string>>
}

export const FILTERED_ID = 'fails on purpose: filtered'
export const TOO_LONG_ID = 'fails on purpose: too long'

export interface Purposes {
  readonly model: string
  /** A phrase that the content filter stops. */
  readonly filteredPhrase: string
  /** More bytes than the context of the model can hold. */
  readonly tooManyBytes: number
}

/** One summary job for each document, and two jobs that must fail: one is filtered, one is too long. */
export function summaryJobs(documents: readonly Document[], purposes: Purposes): BatchLine[] {
  const everything = documents.map(({ text }) => text).join('\n')
  const copies = Math.ceil(purposes.tooManyBytes / Math.max(1, everything.length))
  return [
    ...documents.map(({ name, text }) => summaryJob(name, text, purposes.model)),
    summaryJob(FILTERED_ID, `${documents[0]?.text} ${purposes.filteredPhrase}`, purposes.model),
    summaryJob(TOO_LONG_ID, everything.repeat(copies).slice(0, purposes.tooManyBytes), purposes.model),
  ]
}

function summaryJob(id: string, text: string, model: string): BatchLine {
  const messages = [
    { role: 'system', content: 'Summarise the document in at most three sentences.' },
    { role: 'user', content: text },
  ]
  return {
    custom_id: id,
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages, max_completion_tokens: 300 },
    metadata: { source: id },
  }
}
