import { type Cost, costOfRecord, type Prices } from '../../shared/job/price.ts'
import type { SettledRecord } from '../../shared/job/record.ts'
import { parseJson } from '../../shared/lib/parse-json.ts'
import { textOf } from '../../shared/models/job-answer.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { eventMessage } from './cloud-event.ts'

/** The size limit of an answer in an event, for its JSON and for its text. Bytes of UTF-8. */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * Creates the event of a settled job from its record alone, so that a redelivery creates it again under the same id.
 *
 * `source`: the URI reference of the installation. `prices`: for the estimated cost.
 */
export function completionEvent(record: SettledRecord, source: string, prices: Prices = new Map()): Message {
  const { key, run, status, batch, metadata, settledAt } = record
  const event = {
    id: `${key}/${run}/${status}`,
    source,
    type: `promptbridge.job.${status}`,
    subject: recordPath(record),
    time: settledAt,
    data: dataOf(record, costOfRecord(prices, record)),
  }
  return eventMessage(event, { status, metadata, ...(batch === '' ? {} : { batch }) })
}

function recordPath({ key }: SettledRecord): string {
  return `promptJobs/${key}`
}

/** Embeds the answer's JSON text unchanged: parsing and serializing it would lose digits of long numbers. */
function dataOf(record: SettledRecord, cost: Cost | undefined): string {
  const { id, batch, run, status, model, metadata } = record
  const { text, result } = answerOf(record)
  const ended =
    record.status === 'succeeded'
      ? {
          usage: record.usage,
          usageKnown: record.usageKnown,
          finishReason: record.finishReason,
          tier: tierOf(record),
          text,
        }
      : { error: record.error }
  const event = JSON.stringify({
    id,
    batch,
    run,
    status,
    model,
    metadata,
    ...ended,
    cost,
    recordPath: recordPath(record),
  })
  return result === undefined ? event : `${event.slice(0, -1)},"result":${result}}`
}

/** The tier that answered. */
function tierOf({ attempts }: SettledRecord): string | undefined {
  return attempts.findLast(({ outcome }) => outcome === 'succeeded')?.tier
}

interface PublishedAnswer {
  readonly text?: string | undefined
  /** JSON text. */
  readonly result?: string | undefined
}

/** An answer that is stored in parts is too large for an event, so no parts are read. */
function answerOf(record: SettledRecord): PublishedAnswer {
  if (record.status !== 'succeeded' || record.result.in !== 'record') return {}
  const { text } = record.result
  const answer = parseJson(text)
  if (answer === undefined) return {}
  return { text: undefinedIfTooLong(textOf(record.url, answer)), result: undefinedIfTooLong(text) }
}

function undefinedIfTooLong(text: string | undefined): string | undefined {
  return text === undefined || Buffer.byteLength(text) > MAX_ANSWER_BYTES ? undefined : text
}
