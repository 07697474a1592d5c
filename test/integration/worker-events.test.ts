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
  onWorker,
  type Scenario,
} from '../support/on-worker.ts'
import { EVENTS, type TestWorker } from '../support/worker.ts'

const job = { ...JOB, batch: 'nightly', metadata: { row: '7', status: 'draft' } }

const withEvents = (settings: Scenario, fact: (worker: OnWorker) => Promise<void>) =>
  onWorker({ EVENTS_TOPIC: EVENTS, ...settings }, fact)
const rejectOnce = () => azureAnswers({ status: 400, times: 1 })

const typesOf = async (worker: TestWorker) => (await worker.events()).map(({ attributes }) => attributes['ce-type'])
const dataOf = (event: { readonly data: Uint8Array } | undefined) =>
  z.record(z.string(), z.unknown()).parse(JSON.parse(Buffer.from(event?.data ?? []).toString()))

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
  test('of a job that was dead-lettered repeats both', () =>
    withEvents({}, async (worker) => {
      await rejectOnce()
      assert.deepEqual([await worker.push(job), await worker.push(job)], [DONE, DONE])
      const events = await worker.events()
      assert.deepEqual(events[1]?.data, events[0]?.data)
      const ids = events.map(({ attributes }) => attributes['ce-id'])
      assert.deepEqual([ids.length, new Set(ids).size, (await worker.deadLetters()).length], [2, 1, 2])
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
