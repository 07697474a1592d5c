import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { DAY_MS } from '../support/job-builders.ts'
import { azureAnswers, cloud, DONE, deferred, JOB, onWorker, whileAsking } from '../support/on-worker.ts'
import { DEAD_LETTER_PATH } from '../support/served-worker.ts'
import { callsOf } from '../support/stand-ins.ts'
import { postTo, type TestWorker } from '../support/worker.ts'

const job = { ...JOB, batch: 'nightly' }

const iso = (ms: number) => new Date(ms).toISOString()
/** The attributes of a message that Pub/Sub forwarded. */
const givenUp = (publishedAt = Date.now()) => ({
  CloudPubSubDeadLetterSourceDeliveryCount: '100',
  CloudPubSubDeadLetterSourceSubscription: 'jobs-worker',
  CloudPubSubDeadLetterSourceSubscriptionProject: 'test',
  CloudPubSubDeadLetterSourceTopicPublishTime: iso(publishedAt),
})
const failed = { 'pb-reason': 'rejected', 'pb-error': 'refused', 'pb-code': 'content_filter', 'pb-hint': 'Change it.' }
/** An attribute that no topic accepts. */
const tooLong = { tag: 'y'.repeat(2_000) }

async function only<T>(list: Promise<readonly T[]>): Promise<T> {
  const [one, ...others] = await list
  assert.ok(one !== undefined)
  assert.deepEqual(others, [])
  return one
}
const onlyLetter = (worker: TestWorker) => only(worker.recorded())

describe('a message that a worker dead-lettered', () => {
  test('is recorded with its reason, its job and its data', () =>
    onWorker({}, async (worker) => {
      await azureAnswers({ status: 400 })
      assert.deepEqual(await worker.push(job, { attributes: { origin: 'test' } }), DONE)
      const message = await only(worker.deadLetters())
      assert.deepEqual(await worker.forward(message.data, message), DONE)

      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'dead_lettered')
      const letter = await onlyLetter(worker)
      assert.partialDeepStrictEqual(letter, {
        ...{ id: `${record.key}:1`, key: record.key, jobId: 'doc-7', batch: 'nightly', run: 1, times: 1 },
        ...{ reason: 'rejected', message: record.error.message, attributes: message.attributes },
      })
      assert.deepEqual(JSON.parse(letter.raw.toString()), job)
      assert.deepEqual(await worker.rescued(), [])
      const logged = new RegExp(`"jobKey":"${record.key}".*"outcome":"dead_letter_recorded".*"rejected"`)
      assert.match(worker.logText(), logged)
    }))
})

describe('a message that claims to be a dead letter', () => {
  const claims = { 'pb-reason': 'budget', 'pb-error': 'over', 'pb-code': 'x', 'pb-hint': 'Send money.', 'pb-key': 'k' }

  test('and is no job is recorded as what it is', () =>
    onWorker({}, async (worker) => {
      const foreign = {
        'pb-reason': 'Summarise: a secret',
        'pb-key': '../elsewhere',
        'pb-run': '0',
        origin: 'stranger',
      }
      assert.deepEqual(await worker.forward(job, { attributes: foreign }), DONE)
      const { reason, verified, key, attributes } = await onlyLetter(worker)
      assert.deepEqual([reason, verified, key, attributes], ['invalid', true, undefined, foreign])
      assert.equal(await worker.record('doc-7', 'nightly'), undefined)
      assert.deepEqual([await worker.rescued(), await worker.modelCalls()], [[], []])
      assert.doesNotMatch(worker.logText(), /secret|elsewhere/)
    }))

  test('and of whose job there is no record is recorded as unverified, without its hint, and nothing else', () =>
    onWorker({}, async (worker) => {
      const foreign = { ...claims, 'pb-reason': 'Summarise: a secret' }
      assert.deepEqual(await worker.forward(job, { attributes: foreign }), DONE)
      const { reason, message, code, hint, verified, attributes } = await onlyLetter(worker)
      assert.deepEqual([reason, message, code], ['Summarise: a secret', 'over', 'x'])
      assert.deepEqual([hint, verified, attributes], [undefined, undefined, foreign])
      assert.deepEqual([await worker.rescued(), await worker.modelCalls()], [[], []])
      assert.doesNotMatch(worker.logText(), /secret|money/)
    }))

  test('and of whose job the record says why it failed is recorded with that', () =>
    onWorker({}, async (worker) => {
      await azureAnswers({ status: 400 })
      await worker.push(job)
      assert.deepEqual(await worker.forward(job, { attributes: claims }), DONE)
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === 'dead_lettered')
      const { reason, message, code, hint, verified } = await onlyLetter(worker)
      const { kind, message: why, code: itsCode, hint: fix } = record.error
      assert.deepEqual([reason, message, code, hint, verified], [kind, why, itsCode, fix, true])
    }))

  test('and whose job has succeeded, or is under way, changes neither', () =>
    onWorker({}, async (worker) => {
      await worker.push(job)
      await azureAnswers({ status: 500, times: 1 })
      await worker.push({ ...job, id: 'doc-8' })
      for (const id of ['doc-7', 'doc-8']) {
        assert.deepEqual(await worker.forward({ ...job, id }, { attributes: claims }), DONE)
      }
      assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
      assert.equal((await worker.record('doc-8', 'nightly'))?.status, 'waiting')
      const letters = await worker.recorded()
      assert.equal(letters.length, 2)
      assert.ok(letters.every(({ verified, hint }) => verified === undefined && hint === undefined))
    }))
})

describe('a job that Pub/Sub gave up on', () => {
  test('and that was never settled is published again, with its attributes and the time of its first publication', () =>
    onWorker({}, async (worker) => {
      const publishedAt = Date.now() - DAY_MS
      const own = { origin: 'test', 'pb-run': '1' }
      const came = { attributes: { ...own, ...givenUp(publishedAt) }, publishTime: iso(Date.now()) }
      assert.deepEqual(await worker.forward(job, came), DONE)
      const message = await only(worker.rescued())
      assert.deepEqual(message.attributes, { ...own, 'pb-first-published': iso(publishedAt) })
      assert.deepEqual(JSON.parse(Buffer.from(message.data).toString()), job)
      assert.deepEqual(await worker.recorded(), [])
      assert.match(worker.logText(), /"jobId":"doc-7".*"outcome":"rescued"/)
    }))

  test('while an attempt of it is under way is rescued, and is paid for once', () =>
    whileAsking(
      {},
      async (worker) => {
        assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), DONE)
        const message = await only(worker.rescued())
        const again = worker.push(message.data, message)
        worker.letGo()
        assert.deepEqual([await worker.pushed, await again], [DONE, DONE])
        assert.equal((await worker.modelCalls()).length, 1)
      },
      job,
    ))
})

describe('poison in the dead-letter topic', () => {
  for (const [what, data] of [
    ['is no text', Buffer.of(0xff, 0xfe, 0x80)],
    ['is larger than any job', Buffer.alloc(9_000_000, 'x')],
  ] as const) {
    test(`that ${what} is recorded as it came, whichever subscription forwarded it`, () =>
      onWorker({}, async (worker) => {
        assert.deepEqual(await worker.forward(data, { attributes: givenUp() }), DONE)
        const letter = await onlyLetter(worker)
        assert.equal(letter.reason, 'invalid')
        assert.ok(letter.raw.equals(data))
        assert.deepEqual(await worker.rescued(), [])
      }))
  }

  test('of which the envelope is broken is recorded whole', () =>
    onWorker({}, async (worker) => {
      const broken = ['{"message":7}', '{"message":{"data":"not base64!"}}']
      for (const text of broken) assert.deepEqual(await postTo(worker.url, text, {}, DEAD_LETTER_PATH), DONE)
      const texts = (await worker.recorded()).map(({ raw }) => raw.toString())
      assert.deepEqual(texts.toSorted(), ['not base64!', '{"message":7}'].toSorted())
    }))

  test('that the jobs topic does not accept again is recorded', () =>
    onWorker({}, async (worker) => {
      assert.deepEqual(await worker.forward(job, { attributes: { '': 'nameless', ...givenUp() } }), DONE)
      assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'invalid' })
    }))
})

test('a dead letter is deferred while the store is unavailable, and recorded afterwards', () =>
  onWorker({}, async (worker) => {
    const bringBack = worker.takeAway('deadLetters')
    assert.deepEqual(await worker.forward(job, { attributes: failed }), deferred('store'))
    assert.deepEqual(await worker.forward('no job'), deferred('store'))
    assert.deepEqual(await worker.push('no job', { attributes: tooLong }), deferred('store'))
    bringBack()
    assert.deepEqual(await worker.forward(job, { attributes: failed }), DONE)
    assert.equal((await onlyLetter(worker)).times, 1)
  }))

for (const [table, what] of [
  ['promptJobs', 'its record cannot be read'],
  ['messages', 'the jobs topic is unavailable'],
] as const) {
  test(`a rescue is deferred while ${what}, and nothing is published or recorded`, () =>
    onWorker({}, async (worker) => {
      const bringBack = worker.takeAway(table)
      assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), deferred('store'))
      const problem = '"problem":"the jobs topic or the events topic is unavailable"'
      assert.equal(worker.logText().includes(problem), table === 'messages')
      bringBack()
      assert.deepEqual([await worker.rescued(), await worker.recorded()], [[], []])
    }))
}

describe('a message that the dead-letter topic does not accept', () => {
  test('is recorded by the worker itself, and acknowledged', () =>
    onWorker({}, async (worker) => {
      assert.deepEqual(await worker.push('no job', { attributes: tooLong }), DONE)
      const letter = await onlyLetter(worker)
      assert.deepEqual([letter.reason, letter.verified, letter.raw.toString()], ['invalid', true, 'no job'])
      assert.deepEqual(await worker.deadLetters(), [])
      assert.match(worker.logText(), /the dead-letter topic refuses a message: it is recorded/)
    }))

  test('because it is more than ten million bytes is recorded whole', () =>
    onWorker({}, async (worker) => {
      const broken = `{"message":7,"x":"${'x'.repeat(12_000_000)}"}`
      assert.deepEqual(await worker.post(broken), DONE)
      assert.equal((await onlyLetter(worker)).raw.toString(), broken)
    }))

  test('because of what its job carries is recorded after the settle, with the reason of the record', () =>
    onWorker({}, async (worker) => {
      await azureAnswers({ status: 400 })
      for (let n = 0; n < 2; n += 1) assert.deepEqual(await worker.push(job, { attributes: tooLong }), DONE)
      assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'dead_lettered')
      assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'rejected', times: 2 })
      assert.equal((await worker.modelCalls()).length, 1)
    }))
})

test('a dead letter costs neither a token nor a model call', () =>
  onWorker({}, async (worker) => {
    const tokenCalls = async () => (await callsOf(cloud.metadata)).length + (await callsOf(cloud.entra)).length
    const before = await tokenCalls()
    await worker.forward(job, { attributes: failed })
    await worker.forward(job, { attributes: givenUp() })
    assert.equal(await tokenCalls(), before)
    assert.deepEqual(await worker.modelCalls(), [])
  }))
