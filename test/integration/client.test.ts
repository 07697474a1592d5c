import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  createClient,
  createPublisher,
  createResultReader,
  type JobInput,
  type RequestJob,
} from '../../shared/client/index.ts'
import type { Job } from '../../shared/job/job.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { type Cloud, startCloud } from '../support/stand-ins.ts'
import { startWorker, type TestWorker } from '../support/worker.ts'

const TOPIC = 'promptbridge-jobs'
const prompt = 'Bridges carry people over water, in all weathers.'
const messages = [{ role: 'user', content: prompt }]

let cloud: Cloud
before(async () => {
  cloud = await startCloud()
})
after(() => cloud.close())

async function waiting({ file }: TestWorker, topic = TOPIC) {
  const report = await openQueueReport(file)
  const list = await report.list(topic, { limit: 100 })
  report.close()
  return list
}

/** What Pub/Sub does. */
async function pushAll(worker: TestWorker): Promise<void> {
  for (const { data } of await waiting(worker)) assert.deepEqual(await worker.push(data), { status: 204 })
}

const place = ({ file }: TestWorker) => ({ store: `sqlite:${file}` }) as const

describe('a publisher', () => {
  test('gives the keys under which the worker keeps the records, in the order of the jobs', async () => {
    await using worker = await startWorker(cloud)
    await using publisher = await createPublisher(place(worker))
    const jobs: JobInput[] = [
      { prompt },
      { id: 'a', batch: 'night', metadata: { row: '7' }, prompt },
      { custom_id: 'b', batch: 'night', method: 'POST', url: '/v1/chat/completions', body: { messages } },
    ]
    const keys = await publisher.submitAll(jobs)
    keys.push(await publisher.submit({ id: 'a', prompt }))
    await pushAll(worker)

    await using results = await createResultReader(place(worker))
    const found = await Promise.all(keys.map((key) => results.read(key)))
    const names = found.map((result) => `${result?.batch}/${result?.id}: ${result?.status}`)
    const [own = '', ...given] = names
    assert.match(own, /^\/[\da-f]{64}: succeeded$/)
    assert.deepEqual(given, ['night/a: succeeded', 'night/b: succeeded', '/a: succeeded'])
    assert.deepEqual(found[1]?.metadata, { row: '7' })
  })

  test('refuses what is no job, says why, and publishes none of the set', async () => {
    await using worker = await startWorker(cloud)
    await using publisher = await createPublisher(place(worker))
    const wrong = { id: 'a', prompt, deadline: 'tomorrow' }
    await assert.rejects(publisher.submitAll([{ prompt }, wrong]), { code: 'refused', message: /deadline/ })
    await assert.rejects(publisher.submit(wrong), { code: 'refused' })
    assert.deepEqual(await waiting(worker), [])
  })

  test('publishes to the given topic', async () => {
    await using worker = await startWorker(cloud)
    await using publisher = await createPublisher({ ...place(worker), topic: 'urgent' })
    await publisher.submit({ prompt })
    assert.equal((await waiting(worker, 'urgent')).length, 1)
  })
})

describe('a reader of results', () => {
  test('finds a job by its id and batch, and gives the whole answer', async () => {
    await using worker = await startWorker(cloud)
    await using publisher = await createPublisher(place(worker))
    await publisher.submit({ id: 'a', batch: 'night', prompt })
    await pushAll(worker)
    await using results = await createResultReader(place(worker))
    assert.equal(await results.find('a'), undefined)
    const result = await results.find('a', 'night')
    assert.partialDeepStrictEqual(result, { status: 'succeeded', finishReason: 'stop' })
    assert.ok(result?.status === 'succeeded' && result.usage.completionTokens > 0)
    assert.partialDeepStrictEqual(result.answer, { object: 'chat.completion' })
  })

  test('gives all of a batch that were begun, and why one failed', async () => {
    await using worker = await startWorker(cloud)
    await using publisher = await createPublisher(place(worker))
    await publisher.submitAll([
      { id: 'a', batch: 'night', prompt },
      { id: 'b', batch: 'night', model: 'no-deployment', prompt },
      { id: 'c', batch: 'day', prompt },
    ])
    await pushAll(worker)
    await using results = await createResultReader(place(worker))
    const listed = (await Array.fromAsync(results.list('night'))).toSorted((one, two) => (one.id < two.id ? -1 : 1))
    const statuses = listed.map(({ id, status }) => `${id}: ${status}`)
    assert.deepEqual(statuses, ['a: succeeded', 'b: dead_lettered'])
    assert.partialDeepStrictEqual(listed[1], { error: { kind: 'invalid' } })
  })
})

describe('a batch of a client', () => {
  const jobs = [
    { id: 'a', prompt },
    { id: 'b', model: 'no-deployment', prompt },
  ]

  test('completes like any other, with counts, texts and what they cost', async () => {
    await using worker = await startWorker(cloud)
    await using client = await createClient(place(worker))
    await client.submitAll([...jobs, ...jobs.slice(0, 1)], { batch: 'night' })
    const batch = client.batch('night')
    assert.partialDeepStrictEqual(await batch.counts(), { state: 'running', total: 2, notStarted: 2, succeeded: 0 })
    for (const { data, attributes } of await waiting(worker)) await worker.push(data, { attributes })

    const ended = await batch.wait({ timeoutMs: 60_000 })
    assert.partialDeepStrictEqual(ended, { state: 'complete', succeeded: 1, deadLettered: 1, failures: { invalid: 1 } })
    const results = (await Array.fromAsync(batch.results())).toSorted((one, two) => (one.id < two.id ? -1 : 1))
    const [first, second] = results
    assert.ok(first?.status === 'succeeded' && second?.status === 'dead_lettered')
    assert.match(first.text ?? '', /Bridges/)
    assert.ok((first.cost?.usd ?? 0) > 0)
    assert.deepEqual(await batch.cost(), first.cost)
  })

  test('that was submitted is refused, unless it is to be submitted again; and one job that is wrong leaves no batch', async () => {
    await using worker = await startWorker(cloud)
    await using client = await createClient(place(worker))
    const wrong = [
      [
        { id: 'a', prompt },
        { id: 'a', prompt: 'other' },
      ],
      [{ id: 'a', batch: 'other', prompt }],
    ]
    for (const list of wrong) await assert.rejects(client.submitAll(list, { batch: 'night' }), { code: 'refused' })
    assert.equal(await client.batch('night').counts(), undefined)
    await client.submitAll(jobs, { batch: 'night' })
    await assert.rejects(client.submitAll(jobs, { batch: 'night' }), {
      code: 'exists',
      message: /2 jobs.+set resubmit/,
    })
    await client.submitAll(jobs, { batch: 'night', resubmit: true })
    assert.equal((await client.batch('night').counts())?.total, 2)
  })

  test('is waited for until its time is over, and can be cancelled', async () => {
    await using worker = await startWorker(cloud)
    await using client = await createClient(place(worker))
    const batch = client.batch('night')
    for (const call of [batch.wait(), batch.cancel(), batch.cost()]) await assert.rejects(call, { code: 'not_found' })
    await client.submitAll(jobs, { batch: 'night' })
    await assert.rejects(batch.wait({ timeoutMs: 1, everyMs: 10 }), { code: 'timeout' })
    await assert.rejects(batch.wait({ signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
    await batch.cancel()
    assert.equal((await batch.counts())?.isCancelled, true)
    await client.close()
    await assert.rejects(batch.counts(), { message: 'the client is closed' })
  })
})

test('the types of the client name every request that a job may ask for', () => {
  const asked = (url: Job['url']): RequestJob['url'] => url
  assert.equal(asked('/v1/chat/completions'), '/v1/chat/completions')
})
