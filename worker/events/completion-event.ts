import type { SettledRecord } from '../../shared/job/record.ts'
import { textOf } from '../../shared/models/azure-openai/endpoints.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { eventMessage } from './cloud-event.ts'

/** The most of an answer that an event carries: so much of its JSON, and so much of its text. Bytes of UTF-8. */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * Tells how a job ended, from its record alone, so that a redelivery can tell it again under the same id.
 *
 * `source`: the URI reference of what settled it.
 */
export function completionEvent(record: SettledRecord, source: string): Message {
  const { key, run, status, batch, metadata, settledAt } = record
  const event = {
    id: `${key}/${run}/${status}`,
    source,
    type: `promptbridge.job.${status}`,
    subject: recordPath(record),
    time: settledAt,
    data: dataOf(record),
  }
  return eventMessage(event, { status, metadata, ...(batch === '' ? {} : { batch }) })
}

function recordPath({ key }: SettledRecord): string {
  return `promptJobs/${key}`
}

/** The answer's own JSON text goes in untouched: parsed and written anew, long numbers would lose digits. */
function dataOf(record: SettledRecord): string {
  const { id, batch, run, status, model, metadata } = record
  const { text, result } = answerOf(record)
  const ended =
    record.status === 'succeeded'
      ? { usage: record.usage, usageKnown: record.usageKnown, finishReason: record.finishReason, text }
      : { error: record.error }
  const told = JSON.stringify({ id, batch, run, status, model, metadata, ...ended, recordPath: recordPath(record) })
  return result === undefined ? told : `${told.slice(0, -1)},"result":${result}}`
}

interface ToldAnswer {
  readonly text?: string | undefined
  /** JSON text. */
  readonly result?: string | undefined
}

/** An answer in parts is too large in any case, so that nothing has to be read for an event. */
function answerOf(record: SettledRecord): ToldAnswer {
  if (record.status !== 'succeeded' || record.result.in !== 'record') return {}
  const { text } = record.result
  const answer = parseJson(text)
  if (answer === undefined) return {}
  return { text: unlessTooLong(textOf(record.url, answer)), result: unlessTooLong(text) }
}

function unlessTooLong(text: string | undefined): string | undefined {
  return text === undefined || Buffer.byteLength(text) > MAX_ANSWER_BYTES ? undefined : text
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
