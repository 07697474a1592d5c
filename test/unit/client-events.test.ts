import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseEvent } from '../../shared/client/index.ts'
import { withOwnPrices } from '../../shared/job/price-table.ts'
import { succeeded } from '../../shared/job/transitions.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { batchEvent } from '../../worker/events/batch-event.ts'
import { completionEvent } from '../../worker/events/completion-event.ts'
import { aDeadLetteredRecord, anAnswer, aRunningRecord, START } from '../support/job-builders.ts'

const SOURCE = '/promptbridge/projects/p'
const answer = '{"choices":[{"message":{"role":"assistant","content":"Bridges."}}]}'
const at = { now: START + 1_000, expireAt: START + 2_000 }
const record = succeeded(aRunningRecord(), anAnswer(), { in: 'record', text: answer }, at)
const message = completionEvent(record, SOURCE, withOwnPrices())

const base64 = ({ data }: Message) => Buffer.from(data).toString('base64')
const wrapped = (of: Message) => ({
  message: { attributes: of.attributes, data: base64(of), messageId: '1' },
  subscription: 's',
})

/** Each way in which a receiver can get it. */
const ways: Readonly<Record<string, (of: Message) => ReturnType<typeof parseEvent>>> = {
  'a wrapped push, parsed': (of) => parseEvent(wrapped(of)),
  'a wrapped push as text': (of) => parseEvent(JSON.stringify(wrapped(of))),
  'a wrapped push as bytes': (of) => parseEvent(Buffer.from(JSON.stringify(wrapped(of)))),
  'an unwrapped push, with the headers of fetch': (of) =>
    parseEvent(Buffer.from(of.data), new Headers({ ...of.attributes })),
  'an unwrapped push, with the headers of Node': (of) => parseEvent(Buffer.from(of.data).toString(), of.attributes),
  'a message that was pulled': (of) => parseEvent({ attributes: of.attributes, data: Buffer.from(of.data), id: '1' }),
}

describe('parseEvent reads the event of a job', () => {
  for (const [way, read] of Object.entries(ways)) {
    test(`from ${way}`, () => {
      assert.deepEqual(read(message), {
        kind: 'job',
        type: 'promptbridge.job.succeeded',
        key: `${SOURCE} ${record.key}/1/succeeded`,
        source: SOURCE,
        time: new Date(START + 1_000),
        ...{ id: 'doc-7', batch: 'nightly', run: 1, model: 'gpt-4o', metadata: { row: '7' }, status: 'succeeded' },
        ...{ usage: { promptTokens: 11, completionTokens: 7 }, usageKnown: true, finishReason: 'stop' },
        ...{ text: 'Bridges.', result: JSON.parse(answer), recordPath: `promptJobs/${record.key}` },
        cost: { usd: 0.0000975, asOf: '2026-08-21' },
      })
    })
  }

  test('that failed, with its error', () => {
    const event = parseEvent(wrapped(completionEvent(aDeadLetteredRecord(), SOURCE)))
    assert.ok(event.kind === 'job' && event.status === 'dead_lettered')
    assert.equal(event.error.kind, 'rejected')
  })
})

test('parseEvent reads the event of a batch', () => {
  const tokens = { promptTokens: 3, completionTokens: 4 }
  const ended = { as: 'incomplete', total: 5, at: START, counts: { succeeded: 3 }, tokens, sweptAt: START } as const
  const event = parseEvent(wrapped(batchEvent({ name: 'nightly', createdAt: START, ...ended }, SOURCE)))
  assert.partialDeepStrictEqual(event, {
    ...{ kind: 'batch', type: 'promptbridge.batch.incomplete', status: 'incomplete', batch: 'nightly', total: 5 },
    ...{ counts: { succeeded: 3 }, usage: tokens },
  })
})

test('parseEvent: what is not an event of Promptbridge is an error with a code, whatever it holds', () => {
  const typed = (type: string, data: string) => ({
    message: { attributes: { 'ce-type': type }, data: Buffer.from(data).toString('base64') },
  })
  for (const body of [
    ...[undefined, null, 7, '', '{', '[]', {}, { message: {} }, Buffer.from([0xff])],
    typed('google.cloud.pubsub', '{}'),
    typed('promptbridge.job.succeeded', 'null'),
    typed('promptbridge.job.succeeded', '{"id":"a"}'),
    typed('promptbridge.job.of_tomorrow', '{}'),
    typed('promptbridge.batch.completed', '"text"'),
  ]) {
    assert.throws(() => parseEvent(body), { code: 'not_an_event' }, JSON.stringify(body))
  }
})
