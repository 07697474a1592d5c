import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import {
  azureAnswers,
  cloud,
  DONE,
  deferred,
  JOB,
  type OnWorker,
  onModel,
  onWorker,
  type Scenario,
} from '../support/on-worker.ts'
import { EVENTS, type TestWorker } from '../support/worker.ts'

const job = { ...JOB, batch: 'nightly', metadata: { row: '7', status: 'draft' } }
const PROMPT = /Bridges carry people over water/

const withEvents = (settings: Scenario, fact: (worker: OnWorker) => Promise<void>) =>
  onWorker({ EVENTS_TOPIC: EVENTS, ...settings }, fact)
const rejectOnce = () => azureAnswers({ status: 400, times: 1 })

const typesOf = async (worker: TestWorker) => (await worker.events()).map(({ attributes }) => attributes['ce-type'])
const dataOf = (event: { readonly data: Uint8Array } | undefined) =>
  z.record(z.string(), z.unknown()).parse(JSON.parse(Buffer.from(event?.data ?? []).toString()))

/** An answer that would change if it were parsed and serialized again. */
const answerWith = (
  content: string,
) => `{ "id": 12345678901234567890, "usage": {"prompt_tokens":1,"completion_tokens":1},
  "choices": [ {"index":0.0, "finish_reason":"stop", "message":{"role":"assistant","content":"${content}"}} ] }`

describe('a job that ends', () => {
  test('is published to the events topic before its message is acknowledged', () =>
    withEvents({}, async (worker) => {
      assert.deepEqual(await worker.push(job), DONE)
      const [event, ...others] = await worker.events()
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'succeeded')
      assert.deepEqual(others, [])
      const source = `/promptbridge/projects/${cloud.env['GOOGLE_CLOUD_PROJECT']}`
      assert.partialDeepStrictEqual(event?.attributes, {
        ...{
          'ce-id': `${record.key}/1/succeeded`,
          'ce-type': 'promptbridge.job.succeeded',
          'ce-source': source,
        },
        ...{ 'ce-time': new Date(record.settledAt).toISOString(), 'ce-subject': `promptJobs/${record.key}` },
        ...{ status: 'succeeded', batch: 'nightly', row: '7', 'meta-status': 'draft' },
      })
      const { text, usage, metadata } = dataOf(event)
      assert.deepEqual([usage, metadata], [record.usage, job.metadata])
      assert.match(String(text), /Bridges/)
    }))

  test('by a dead letter or by its deadline has an event as well', () =>
    withEvents({}, async (worker) => {
      await rejectOnce()
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual(await typesOf(worker), ['promptbridge.job.dead_lettered'])
      assert.equal((await worker.deadLetters()).length, 1)
      const text = JSON.stringify(dataOf((await worker.events())[0]))
      assert.match(text, /"kind":"rejected"/)
      assert.doesNotMatch(text, PROMPT)
      assert.deepEqual(await worker.push({ ...job, id: 'doc-8', deadline: '2026-01-01T00:00:00Z' }), DONE)
      const types = await typesOf(worker)
      assert.deepEqual(types.toSorted(), ['promptbridge.job.dead_lettered', 'promptbridge.job.expired'])
    }))

  test("brings Azure's answer to the last digit, and no prompt", () => {
    const answer = answerWith('Over water.')
    return onModel(answer, { EVENTS_TOPIC: EVENTS }, async (worker) => {
      await worker.push(job)
      const [event] = await worker.events()
      const text = Buffer.from(event?.data ?? []).toString()
      assert.ok(text.includes(`"result":${answer}`))
      assert.equal(dataOf(event)['text'], 'Over water.')
      assert.doesNotMatch(text, PROMPT)
    })
  })

  test('with an answer too large for its record has an event without it, first and later', () =>
    onModel(answerWith('x'.repeat(901 * 1_024)), { EVENTS_TOPIC: EVENTS }, async (worker) => {
      assert.deepEqual([await worker.push(job), await worker.push(job)], [DONE, DONE])
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'succeeded' && record.result.in === 'parts')
      for (const event of await worker.events()) {
        const { text, result, recordPath } = dataOf(event)
        assert.deepEqual([text, result, recordPath], [undefined, undefined, `promptJobs/${record.key}`])
      }
    }))

  test('where there is no Google project has a source all the same', () =>
    withEvents({ GOOGLE_CLOUD_PROJECT: undefined }, async (worker) => {
      await worker.push(job)
      assert.equal((await worker.events())[0]?.attributes['ce-source'], '/promptbridge')
    }))

  test('has no event where none is wanted', () =>
    withEvents({ EVENTS_TOPIC: undefined }, async (worker) => {
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual(await worker.events(), [])
    }))
})

describe('a message that settles nothing', () => {
  test('makes no event: poison, another payload, a run that is history', () =>
    withEvents({}, async (worker) => {
      await rejectOnce()
      await worker.push(job)
      assert.deepEqual(await worker.push('not JSON'), DONE)
      assert.deepEqual(await worker.push({ ...job, metadata: {} }), DONE)
      await azureAnswers({ error: 'server_error', times: 1 })
      const again = { attributes: { 'pb-run': '2' } }
      assert.deepEqual(await worker.push(job, again), deferred('unavailable'))
      assert.deepEqual(await worker.push(job), DONE)
      assert.match(worker.logText(), /"outcome":"superseded"/)
      assert.deepEqual(await typesOf(worker), ['promptbridge.job.dead_lettered'])
    }))
})

describe('a redelivery', () => {
  test('repeats the event of a settled job, to the byte', () =>
    withEvents({}, async (worker) => {
      assert.deepEqual([await worker.push(job), await worker.push(job)], [DONE, DONE])
      const [first, second] = await worker.events()
      assert.ok(first && second)
      assert.deepEqual([second.attributes, second.data], [first.attributes, first.data])
      assert.equal((await worker.modelCalls()).length, 1)
    }))

  test('of a job that was dead-lettered repeats both', () =>
    withEvents({}, async (worker) => {
      await rejectOnce()
      assert.deepEqual([await worker.push(job), await worker.push(job)], [DONE, DONE])
      const events = await worker.events()
      assert.deepEqual(events[1]?.data, events[0]?.data)
      const ids = events.map(({ attributes }) => attributes['ce-id'])
      assert.deepEqual([ids.length, new Set(ids).size, (await worker.deadLetters()).length], [2, 1, 2])
    }))

  test('of a replay has its run', () =>
    withEvents({}, async (worker) => {
      await rejectOnce()
      await worker.push(job)
      await worker.push(job, { attributes: { 'pb-run': '2' } })
      const ids = (await worker.events()).map(({ attributes }) => attributes['ce-id']?.split('/').slice(1).join('/'))
      assert.deepEqual(ids, ['1/dead_lettered', '2/succeeded'])
    }))
})

describe('a message that Pub/Sub gave up on', () => {
  test('publishes the end of its job, which no delivery could publish', () =>
    withEvents({}, async (worker) => {
      const bringBack = worker.takeAway('messages')
      assert.deepEqual(await worker.push(job), deferred('store'))
      bringBack()
      assert.deepEqual(await worker.forward(job), DONE)
      assert.deepEqual(await typesOf(worker), ['promptbridge.job.succeeded'])
    }))

  test('and whose time was over before anybody had seen it leaves a record all the same, so that its batch ends', () =>
    withEvents({}, async (worker) => {
      const late = { ...job, deadline: '2026-01-01T00:00:00Z' }
      assert.deepEqual([await worker.forward(late), await worker.forward(late)], [DONE, DONE])
      assert.partialDeepStrictEqual(await worker.record('doc-7', 'nightly'), {
        status: 'expired',
        run: 1,
        attempts: [],
      })
      assert.deepEqual(new Set(await typesOf(worker)), new Set(['promptbridge.job.expired']))
      assert.equal((await worker.recorded()).length, 1)
    }))
})

describe('an events topic', () => {
  test('that is unavailable delays the acknowledgement of a settled job, and the next delivery publishes its event without a model call', () =>
    withEvents({}, async (worker) => {
      const bringBack = worker.takeAway('messages')
      assert.deepEqual(await worker.push(job), deferred('store'))
      assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
      bringBack()
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual(await typesOf(worker), ['promptbridge.job.succeeded'])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.match(worker.logText(), /"reason":"store".*events topic/)
    }))

  // An attribute of more than 1,024 bytes.
  test('that can never accept an event delays nothing: the error log has the job', () =>
    withEvents({ GOOGLE_CLOUD_PROJECT: 'p'.repeat(1_024) }, async (worker) => {
      assert.deepEqual(await worker.push(job), DONE)
      assert.deepEqual(await worker.events(), [])
      assert.match(worker.logText(), /"severity":"ERROR".*"outcome":"event_refused".*"jobId":"doc-7".*ce-source/)
      assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
    }))
})
