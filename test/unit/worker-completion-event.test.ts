import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { withOwnPrices } from '../../shared/job/price-table.ts'
import type { RunningRecord, SettledRecord, StoredResult } from '../../shared/job/record.ts'
import { succeeded } from '../../shared/job/transitions.ts'
import { checkLimits } from '../../shared/queues/message-limits.ts'
import { completionEvent } from '../../worker/events/completion-event.ts'
import {
  aDeadLetteredRecord,
  anAnswer,
  anExpiredRecord,
  aRunningRecord,
  DAY_MS,
  START,
} from '../support/job-builders.ts'

const SOURCE = '/promptbridge/projects/p'
const KIB = 1_024
const settlement = { now: START + 1_000, expireAt: START + DAY_MS }

function succeededWith(result: StoredResult | string, over: Partial<RunningRecord> = {}): SettledRecord {
  const stored = typeof result === 'string' ? ({ in: 'record', text: result } as const) : result
  return succeeded(aRunningRecord(over), anAnswer(), stored, settlement)
}

const chat = (content: unknown) => JSON.stringify({ choices: [{ message: { role: 'assistant', content } }] })

const textOf = (record: SettledRecord) => Buffer.from(completionEvent(record, SOURCE).data).toString()
const dataOf = (record: SettledRecord) => z.record(z.string(), z.unknown()).parse(JSON.parse(textOf(record)))
const attributesOf = (record: SettledRecord) => completionEvent(record, SOURCE).attributes
const withMetadata = (metadata: Readonly<Record<string, string>>) => attributesOf(aDeadLetteredRecord({ metadata }))

describe('the event of a job', () => {
  test('names the tier that answered, and none if its record has none', () => {
    const end = anAnswer()
    const withTier = { ...end, report: { ...end.report, tier: 'flex' } }
    const record = succeeded(aRunningRecord(), withTier, { in: 'record', text: chat('Yes.') }, settlement)
    assert.equal(dataOf(record)['tier'], 'flex')
    assert.equal('tier' in dataOf(succeededWith(chat('Yes.'))), false)
  })

  test('that succeeded is a CloudEvent in binary mode with its answer', () => {
    const record = succeededWith(chat('Bridges carry people.'))
    const { key } = record
    assert.deepEqual(attributesOf(record), {
      'ce-specversion': '1.0',
      'ce-id': `${key}/1/succeeded`,
      'ce-source': SOURCE,
      'ce-type': 'promptbridge.job.succeeded',
      'ce-subject': `promptJobs/${key}`,
      'ce-time': '2026-11-24T06:00:01.000Z',
      'content-type': 'application/json; charset=utf-8',
      'ce-datacontenttype': 'application/json; charset=utf-8',
      status: 'succeeded',
      batch: 'nightly',
      row: '7',
    })
    assert.deepEqual(dataOf(record), {
      ...{ id: 'doc-7', batch: 'nightly', run: 1, status: 'succeeded', model: 'gpt-4o', metadata: { row: '7' } },
      usage: { promptTokens: 11, completionTokens: 7 },
      finishReason: 'stop',
      text: 'Bridges carry people.',
      result: JSON.parse(chat('Bridges carry people.')),
      recordPath: `promptJobs/${key}`,
    })
  })

  test('has its estimated cost and the date of the prices, and none where the model has no price', () => {
    const read = (record: SettledRecord) =>
      JSON.parse(Buffer.from(completionEvent(record, SOURCE, withOwnPrices()).data).toString())
    assert.deepEqual(read(succeededWith('{}')).cost, { usd: (11 * 2.5 + 7 * 10) / 1_000_000, asOf: '2026-08-21' })
    assert.equal('cost' in read(succeededWith('{}', { model: 'ours' })), false)
  })

  test('that was dead-lettered says why, and what to do', () => {
    const error = { kind: 'rejected', code: 'content_filter', message: 'refused', hint: 'Change it.' } as const
    const record = aDeadLetteredRecord({ error, run: 2 })
    assert.partialDeepStrictEqual(attributesOf(record), {
      'ce-id': `${record.key}/2/dead_lettered`,
      'ce-type': 'promptbridge.job.dead_lettered',
      status: 'dead_lettered',
    })
    assert.deepEqual(dataOf(record), {
      ...{ id: 'doc-7', batch: 'nightly', run: 2, status: 'dead_lettered', model: 'gpt-4o', metadata: { row: '7' } },
      error,
      recordPath: `promptJobs/${record.key}`,
    })
  })

  test('that expired says so', () => {
    assert.equal(attributesOf(anExpiredRecord)['ce-type'], 'promptbridge.job.expired')
    assert.partialDeepStrictEqual(dataOf(anExpiredRecord), { status: 'expired', error: { kind: 'expired' } })
  })

  test('is the same event, whenever it is made again', () => {
    const record = succeededWith(chat('Bridges.'))
    assert.deepEqual(completionEvent(record, SOURCE), completionEvent(structuredClone(record), SOURCE))
  })

  test('of no batch has no such attribute, whatever its metadata says', () => {
    const attributes = attributesOf(aDeadLetteredRecord({ batch: '', metadata: { batch: 'another' } }))
    assert.deepEqual([attributes['batch'], attributes['meta-batch']], [undefined, 'another'])
  })

  test('leaves out a model that it does not name', () => {
    assert.equal('model' in dataOf(aDeadLetteredRecord({ model: undefined })), false)
  })
})

describe('an answer in an event', () => {
  test('is passed on as it came: long numbers, twin names, their order and its spaces', () => {
    const answer = '{ "2": 1, "1": 0.1000, "id": 12345678901234567890, "a": 1e400, "a": "\\u00e9\\/" }\n'
    assert.ok(textOf(succeededWith(answer)).endsWith(`,"result":${answer}}`))
  })

  test('of 256 KiB is whole, and a byte more is left to the record', () => {
    const sized = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`
    assert.equal(String(dataOf(succeededWith(sized(256 * KIB)))['result']).length, 256 * KIB - 2)
    assert.equal(dataOf(succeededWith(sized(256 * KIB + 1)))['result'], undefined)
  })

  test('is measured in bytes, not characters', () => {
    assert.equal(dataOf(succeededWith(`"${'é'.repeat(128 * KIB)}"`))['result'], undefined)
  })

  test('that is too long itself still gives its text', () => {
    const long = JSON.stringify({ choices: [{ message: { content: 'Bridges.' } }], logprobs: 'x'.repeat(256 * KIB) })
    const { text, result } = dataOf(succeededWith(long))
    assert.deepEqual([text, result], ['Bridges.', undefined])
  })

  test('whose text is longer than 256 KiB gives neither', () => {
    const data = dataOf(succeededWith(chat('é'.repeat(128 * KIB + 1))))
    assert.deepEqual(['text' in data, 'result' in data, data['finishReason']], [false, false, 'stop'])
  })

  test('in parts gives neither', () => {
    const data = dataOf(succeededWith({ in: 'parts', owner: 'a', count: 2, sha256: '' }))
    assert.deepEqual(['text' in data, 'result' in data], [false, false])
  })

  test('that is no JSON would break the event, and is left out', () => {
    assert.equal('result' in dataOf(succeededWith('{"choices":')), false)
  })

  test('is JSON whatever it says: half a pair, line ends, quotes', () => {
    for (const content of ['\ud800', '\u2028\n"\\', '🌉', '']) {
      const { text, result } = dataOf(succeededWith(chat(content)))
      assert.deepEqual([text, result], [content, JSON.parse(chat(content))])
    }
  })

  test('of embeddings has no text', () => {
    const data = dataOf(succeededWith('{"data":[{"embedding":[0.5]}]}', { url: '/v1/embeddings' }))
    assert.deepEqual(['text' in data, data['result']], [false, { data: [{ embedding: [0.5] }] }])
  })
})

describe('metadata as attributes', () => {
  test('keep their names, and get a prefix where those are in use or reserved', () => {
    const names = ['ce-id', 'CE-ID', 'pb-run', 'googclient_x', 'Goog', 'status', 'Batch', 'content-type', 'meta-batch']
    const metadata = Object.fromEntries(names.map((name) => [name, `theirs: ${name}`]))
    const attributes = withMetadata({ ...metadata, cell: 'B7' })
    const plain = withMetadata({})
    const prefixed = names.map((name) => [`meta-${name}`, `theirs: ${name}`])
    assert.deepEqual(attributes, { ...plain, ...Object.fromEntries(prefixed), cell: 'B7' })
  })

  test('never become one: what looks like our prefix gets it, too', () => {
    const { 'meta-status': one, 'meta-meta-status': other } = withMetadata({ status: 'a', 'meta-status': 'b' })
    assert.deepEqual([one, other], ['a', 'b'])
  })

  test('that do not fit are in the data only, never cut', () => {
    const values = { long: 'x'.repeat(1_025), fits: 'x'.repeat(1_024) }
    const metadata = { ...values, ['é'.repeat(129)]: 'y', ['é'.repeat(128)]: 'y' }
    const record = aDeadLetteredRecord({ metadata })
    const names = Object.keys(attributesOf(record)).filter((name) => name in metadata)
    assert.deepEqual(names, ['fits', 'é'.repeat(128)])
    assert.deepEqual(dataOf(record)['metadata'], metadata)
  })

  test('never make a message that the topic refuses, nor touch an attribute of ours', () => {
    const key = fc.oneof(fc.string({ minLength: 1, maxLength: 300 }), fc.constantFrom('ce-type', 'status', '__proto__'))
    const value = fc.string({ unit: 'grapheme', maxLength: 1_200 })
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 120 }), (metadata) => {
        const message = completionEvent(aDeadLetteredRecord({ metadata }), SOURCE)
        checkLimits(message)
        assert.partialDeepStrictEqual(message.attributes, withMetadata({}))
      }),
    )
  })
})
