import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { startRecordingModel } from '../../support/recording-model.ts'
import { startCloud } from '../../support/stand-ins.ts'
import { startWarmEmulator } from '../support/emulators.ts'
import { FIRESTORE_JOB, startAskingOverFirestore, startFirestoreWorker } from '../support/firestore-worker.ts'

/** Of one call to Firestore. */
const DEADLINE_MS = 5_000

const job = FIRESTORE_JOB
const done = { status: 204 }
const again = { status: 503, reason: 'store' }

const emulator = await startWarmEmulator('firestore')
after(() => emulator.close())
const cloud = await startCloud()
after(() => cloud.close())
const start = (settings = {}) => startFirestoreWorker(cloud, emulator, settings)

describe('over Firestore', () => {
  test('a job settles, and its duplicate is done without a call', async () => {
    await using worker = await start()
    assert.deepEqual([await worker.push(job), await worker.push(job)], [done, done])
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
    assert.equal((await worker.modelCalls()).length, 1)
    assert.match(worker.logText(), /"outcome":"repeated"/)
  })

  test('a result over 900 KiB goes to parts and is read back whole', async () => {
    const content = '{"a": "Brücken", "b": "橋"}\n'.repeat(60_000)
    const answer = JSON.stringify({
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    })
    await using model = await startRecordingModel(answer)
    await using worker = await start({ AZURE_OPENAI_ENDPOINT: model.url })
    assert.deepEqual(await worker.push(job), done)
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'succeeded' && record.result.in === 'parts')
    assert.ok(record.result.count > 1)
    assert.deepEqual(JSON.parse((await worker.reader.readResult(record)) ?? ''), JSON.parse(answer))
  })
})

describe('a dead letter over Firestore', () => {
  const attributes = { 'pb-reason': 'rejected' }

  test('of 9 MB is recorded once, and read back byte by byte', async () => {
    await using worker = await start()
    const data = randomBytes(9_000_000)
    for (let n = 0; n < 2; n += 1) assert.deepEqual(await worker.forward(data, { attributes }), done)
    const [letter, ...others] = (await worker.letters.list({}, 9)).found
    assert.deepEqual([letter?.times, others], [2, []])
    assert.ok(letter && data.equals(await worker.letters.readData(letter)))
  })

  test('is deferred while Firestore is away, and recorded when it is back', async () => {
    await using worker = await start()
    worker.network.cut()
    assert.deepEqual(await worker.forward(job, { attributes }), again)
    worker.network.restore()
    while ((await worker.forward(job, { attributes })).status !== 204);
    const { found } = await worker.letters.list({ reason: 'rejected' }, 9)
    assert.deepEqual(
      found.map(({ jobId }) => jobId),
      ['doc-7'],
    )
  })
})

describe('Firestore is away', () => {
  test('at the claim: the model is not asked, and the next delivery finds the job untouched', async () => {
    await using worker = await start()
    worker.network.cut()
    assert.deepEqual(await worker.push(job), again)
    assert.deepEqual(await worker.modelCalls(), [])
    worker.network.restore()
    while ((await worker.push(job)).status !== 204);
    assert.equal((await worker.record('doc-7'))?.attempts.length, 1)
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('at the settle: what was paid for is kept, and written when it is back', async () => {
    await using on = await startAskingOverFirestore(emulator)
    on.worker.network.cut()
    const tried = on.worker.network.turnedAway()
    on.letGo()
    await Promise.race([tried, on.pushed])
    on.worker.network.restore()
    assert.deepEqual(await on.pushed, done)
    assert.equal((await on.worker.record('doc-7'))?.status, 'succeeded')
    assert.equal((await on.worker.modelCalls()).length, 1)
  })

  test('and back: /readyz says so, and /healthz never does', async () => {
    await using worker = await start()
    const statusOf = async (path: string) => (await fetch(worker.url + path)).status
    worker.network.cut()
    // The last look at the store stands for a second.
    while ((await statusOf('/readyz')) !== 503);
    assert.equal(await statusOf('/healthz'), 200)
    worker.network.restore()
    while ((await statusOf('/readyz')) !== 200);
  })
})

describe('Firestore does not answer', () => {
  test('at the claim: the push has its 503 within the deadlines of two tries, and the model is not asked', async () => {
    await using worker = await start()
    worker.network.stall()
    const pushedAt = performance.now()
    assert.deepEqual(await worker.push(job), again)
    const waitedMs = performance.now() - pushedAt
    assert.ok(waitedMs > 1.98 * DEADLINE_MS && waitedMs < 3 * DEADLINE_MS, `${waitedMs} ms`)
    assert.deepEqual(await worker.modelCalls(), [])
  })

  test('/readyz: it has its 503 within one deadline', async () => {
    await using worker = await start()
    worker.network.stall()
    const ask = async () => {
      const askedAt = performance.now()
      const { status } = await fetch(`${worker.url}/readyz`)
      return { status, waitedMs: performance.now() - askedAt }
    }
    let answer = await ask()
    // The last look at the store stands for a second.
    while (answer.status === 200) answer = await ask()
    const { status, waitedMs } = answer
    assert.equal(status, 503)
    assert.ok(waitedMs < 2 * DEADLINE_MS, `${waitedMs} ms`)
  })

  test('on one connection, which died without a word: it is replaced', async () => {
    await using worker = await start()
    worker.network.strand()
    // Each lasts two deadlines, whatever the machine.
    for (let failed = 0; (await worker.push(job)).status !== 204; failed += 1) assert.ok(failed < 5)
  })
})

describe('a reply of Firestore is lost', () => {
  test('that of the claim: the job is asked in one attempt', async () => {
    await using worker = await start()
    worker.network.loseReplies()
    const pushed = worker.push(job)
    await worker.untilStatus('doc-7', 'running')
    worker.network.cut()
    worker.network.restore()
    assert.deepEqual(await pushed, done)
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts.length], ['succeeded', 1])
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('that of the settle: what was written stands', async () => {
    await using on = await startAskingOverFirestore(emulator)
    on.worker.network.loseReplies()
    on.letGo()
    await on.worker.untilStatus('doc-7', 'succeeded')
    const written = await on.worker.record('doc-7')
    on.worker.network.cut()
    on.worker.network.restore()
    assert.deepEqual(await on.pushed, done)
    assert.deepEqual(await on.worker.record('doc-7'), written)
    assert.equal((await on.worker.modelCalls()).length, 1)
  })

  test('those of both tries of a claim: the job waits for the lease, and one attempt is unknown', async () => {
    await using worker = await start({ MODEL_TIMEOUT_SECONDS: '4' })
    worker.network.loseReplies()
    assert.deepEqual(await worker.push(job), again)
    assert.deepEqual(await worker.modelCalls(), [])
    worker.network.cut()
    worker.network.restore()
    assert.deepEqual(await worker.push(job), done)
    const outcomes = (await worker.record('doc-7'))?.attempts.map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, ['unknown', 'succeeded'])
    assert.equal((await worker.modelCalls()).length, 1)
  })
})
