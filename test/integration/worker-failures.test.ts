import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import type { faultSchema } from '../../local/faults.ts'
import { AZURE } from '../../local/identities.ts'
import type { FailureKind } from '../../shared/job/failures.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { openWire } from '../support/wire.ts'
import { impatient, startWorker, watchClock } from '../support/worker.ts'

type Fault = z.input<typeof faultSchema>

const url = '/v1/chat/completions'
const aJob = (content: string, more = {}) => ({
  id: 'doc-7',
  url,
  body: { messages: [{ role: 'user', content }], ...more },
})
const job = aJob('Bridges carry people over water, in all weathers.')
/** A send has to begin within a quarter of it, on a busy machine too. */
const quick = { MODEL_TIMEOUT_SECONDS: '4' }
const { deployment } = AZURE
const LONGEST_BACKOFF_MS = 300_000

const cloud = await startCloud()
after(() => cloud.close())

/** The attempts of a record: their numbers, outcomes and statuses. */
const attemptsOf = (record: JobRecord | undefined) =>
  record?.attempts.map(({ n, outcome, httpStatus }) => [n, outcome, httpStatus])

describe('a request that Azure rejects for what it says', () => {
  for (const [why, rejected, fault, status, code, hint] of [
    [
      'its filter',
      aJob(`${CONTENT_FILTER_MARKER}`),
      undefined,
      400,
      'content_filter/ResponsibleAIPolicyViolation',
      true,
    ],
    ['its length', aJob('x'.repeat(520_000)), undefined, 400, 'context_length_exceeded', true],
    ['its size', job, { kind: 'status', status: 413 }, 413, undefined, false],
    ['its form', job, { kind: 'status', status: 422, body: { error: { code: 'bad' } } }, 422, 'bad', false],
  ] as const) {
    test(`by ${why} is dead-lettered at once, as an attempt`, async () => {
      await using worker = await startWorker(cloud)
      if (fault !== undefined) await placeFault(cloud.azure, fault)
      assert.deepEqual(await worker.push(rejected), { status: 204 })
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.error.code], ['rejected', code])
      assert.deepEqual(attemptsOf(record), [[1, 'rejected', status]])
      assert.equal((await worker.modelCalls()).length, 1)
      const [letter, ...others] = await worker.deadLetters()
      assert.deepEqual(others, [])
      const { 'pb-reason': reason, 'pb-code': pbCode, 'pb-key': key, 'pb-hint': fix } = letter?.attributes ?? {}
      assert.deepEqual([reason, pbCode, key, fix !== undefined], ['rejected', code, record.key, hint])
      assert.deepEqual(JSON.parse(Buffer.from(letter?.data ?? []).toString()), rejected)
    })
  }
})

test('a deployment that Azure does not know keeps the job waiting at first, as no attempt', async () => {
  await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' } })
  assert.deepEqual(await worker.push(job), { status: 503, reason: 'no_deployment' })
  const record = await worker.record('doc-7')
  assert.deepEqual([record?.status, attemptsOf(record), record?.uncounted], ['waiting', [], { no_deployment: 1 }])
  assert.deepEqual(await worker.deadLetters(), [])
})

for (const [why, fault] of [
  ['401 PermissionDenied', { kind: 'status', error: 'permission_denied' }],
  ['403', { kind: 'status', status: 403 }],
] as const) {
  test(`${why} defers the job, asks once, and renews no token`, async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, fault)
    const before = (await callsOf(cloud.entra, 'token')).length
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'forbidden' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, attemptsOf(record), record?.uncounted], ['waiting', [], { forbidden: 1 }])
    assert.equal((await worker.modelCalls()).length, 1)
    assert.equal((await callsOf(cloud.entra, 'token')).length, before + 1)
    assert.deepEqual(await worker.deadLetters(), [])
    assert.match(worker.logText(), /Give the app registration [-\da-f]{36} the role/)
  })
}

describe('a token that Azure refuses', () => {
  test('is renewed once, and the same attempt goes on', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', error: 'unauthorized', times: 1 })
    const before = (await callsOf(cloud.entra, 'token')).length
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7')
    assert.deepEqual([attemptsOf(record), record?.uncounted], [[[1, 'succeeded', 200]], {}])
    assert.equal((await worker.modelCalls()).length, 2)
    assert.equal((await callsOf(cloud.entra, 'token')).length, before + 2)
  })

  test('and whose successor is refused too defers the job', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', error: 'unauthorized' })
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'unauthorized' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, attemptsOf(record), record?.uncounted], ['waiting', [], { unauthorized: 1 }])
    assert.equal((await worker.modelCalls()).length, 2)
  })
})

describe('no token', () => {
  for (const [who, standIn, fault, log] of [
    ['Entra', cloud.entra, { kind: 'status', error: 'temporarily_unavailable', match: '/token' }, /"httpStatus":503/],
    [
      'Entra’s directory',
      cloud.entra,
      { kind: 'status', error: 'wrong_subject', match: '/token' },
      /AADSTS700213.*"requestId":"[\da-f-]{36}"/,
    ],
    ['the metadata server', cloud.metadata, { kind: 'status', error: 'no_service_account' }, /"httpStatus":404/],
  ] as const) {
    test(`from ${who} defers the job before it costs a record or a call`, async () => {
      const { clock, now } = watchClock()
      const dependencies = { ...impatient.dependencies, now }
      await using worker = await startWorker(cloud, { ...impatient, dependencies })
      await placeFault(standIn, fault)
      assert.deepEqual(await worker.push(job), { status: 503, reason: 'token' })
      assert.equal(await worker.record('doc-7'), undefined)
      assert.deepEqual(await worker.modelCalls(), [])
      assert.deepEqual(await worker.deadLetters(), [])
      assert.match(worker.logText(), log)
      await clearFaults(standIn)
      clock.aheadMs = LONGEST_BACKOFF_MS
      assert.deepEqual(await worker.push(job), { status: 204 })
    })
  }
})

describe('a used-up quota', () => {
  test('is waited for in the same attempt when it comes back in time', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, {
      kind: 'status',
      error: 'call_rate_limit',
      headers: { 'retry-after-ms': '700' },
      times: 1,
    })
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7')
    assert.deepEqual([attemptsOf(record), record?.uncounted], [[[1, 'succeeded', 200]], {}])
    const [first, second, ...others] = await worker.modelCalls()
    assert.deepEqual([first?.status, second?.status, others], [429, 200, []])
    assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 690)
  })

  test('that comes back too late defers the job, and the next ones before they are claimed', async () => {
    // The longest jitter: with the shortest, the circuit would close within the minute that a job may be held.
    await using worker = await startWorker(cloud, { dependencies: { random: () => 1 } })
    await placeFault(cloud.azure, { kind: 'status', error: 'token_rate_limit', headers: { 'retry-after': '61' } })
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'throttled' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, attemptsOf(record), record?.uncounted], ['waiting', [], { throttled: 1 }])
    assert.deepEqual(await worker.push({ ...job, id: 'doc-8' }), { status: 503, reason: 'throttled' })
    assert.equal(await worker.record('doc-8'), undefined)
    assert.equal((await worker.modelCalls()).length, 1)
  })
})

test('a model that cannot be reached defers the job, as no attempt', async () => {
  const wire = await openWire(cloud.azure.url)
  await wire[Symbol.asyncDispose]()
  const settings = { ...quick, AZURE_OPENAI_ENDPOINT: wire.url }
  await using worker = await startWorker(cloud, { settings })
  assert.deepEqual(await worker.push(job), { status: 503, reason: 'unreachable' })
  const record = await worker.record('doc-7')
  assert.deepEqual([record?.status, attemptsOf(record), record?.uncounted], ['waiting', [], { unreachable: 1 }])
})

describe('an answer that was lost', () => {
  const ambiguous: readonly (readonly [string, Fault, number | undefined, FailureKind?])[] = [
    ['408', { kind: 'status', error: 'timeout', times: 1 }, 408],
    ['200 with a page of somebody in between', { kind: 'garbage', times: 1 }, 200],
    ['a reset before the answer', { kind: 'reset', times: 1 }, undefined],
    ['a reset after its headers', { kind: 'reset', after: 'headers', times: 1 }, undefined],
    ['half a body', { kind: 'reset', after: 'half-body', times: 1 }, undefined],
    ['no answer in time, though it was billed', { kind: 'hang', billed: true, times: 1 }, undefined, 'timeout'],
  ]
  for (const [what, fault, status, reason = 'ambiguous'] of ambiguous) {
    test(`by ${what} is a counted, unknown attempt, never repeated within its delivery; the next delivery is the second`, async () => {
      await using worker = await startWorker(cloud, { settings: reason === 'timeout' ? quick : {} })
      await placeFault(cloud.azure, fault)
      assert.deepEqual(await worker.push(job), { status: 503, reason })
      const waiting = await worker.record('doc-7')
      assert.deepEqual([waiting?.status, attemptsOf(waiting)], ['waiting', [[1, 'unknown', status]]])
      assert.equal((await worker.modelCalls()).length, 1)
      assert.deepEqual(await worker.deadLetters(), [])
      assert.deepEqual(await worker.push(job), { status: 204 })
      const done = await worker.record('doc-7')
      assert.deepEqual(attemptsOf(done), [
        [1, 'unknown', status],
        [2, 'succeeded', 200],
      ])
      const ids = (await worker.modelCalls()).map(({ detail }) => detail['clientRequestId'])
      assert.deepEqual(ids, [`${done?.key}.1.1`, `${done?.key}.1.2`])
    })
  }

  test('ends the job when its attempts are used up', async () => {
    await using worker = await startWorker(cloud, { settings: { MAX_ATTEMPTS: '2' } })
    await placeFault(cloud.azure, { kind: 'status', error: 'timeout' })
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'ambiguous' })
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'dead_lettered')
    assert.equal(record.error.kind, 'max_attempts')
    assert.deepEqual(attemptsOf(record), [
      [1, 'unknown', 408],
      [2, 'unknown', 408],
    ])
    assert.deepEqual(
      (await worker.deadLetters()).map(({ attributes }) => attributes['pb-reason']),
      ['max_attempts'],
    )
  })

  test('ends the job at once where ON_UNKNOWN says so', async () => {
    await using worker = await startWorker(cloud, { settings: { ON_UNKNOWN: 'dead-letter' } })
    await placeFault(cloud.azure, { kind: 'status', error: 'server_error' })
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, attemptsOf(record)], ['dead_lettered', [[1, 'unknown', 500]]])
    assert.deepEqual(
      (await worker.deadLetters()).map(({ attributes }) => attributes['pb-reason']),
      ['unknown'],
    )
  })
})

test('an answer that the filter stopped is a success, flagged, for it was paid', async () => {
  const message = { role: 'assistant', content: '' }
  const completion = {
    choices: [{ finish_reason: 'content_filter', message }],
    usage: { prompt_tokens: 11, completion_tokens: 0 },
  }
  const model = createServer((_, response) => response.end(JSON.stringify(completion))).listen(0, '127.0.0.1')
  await once(model, 'listening')
  const { port } = z.object({ port: z.number() }).parse(model.address())
  await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: `http://127.0.0.1:${port}` } })
  assert.deepEqual(await worker.push(job), { status: 204 })
  model.close()
  model.closeAllConnections()
  const record = await worker.record('doc-7')
  assert.ok(record?.status === 'succeeded')
  assert.deepEqual([record.finishReason, record.usage.completionTokens], ['content_filter', 0])
})

test('an answer that was cut at its length is a success, flagged, for it was paid', async () => {
  await using worker = await startWorker(cloud)
  assert.deepEqual(await worker.push(aJob('Bridges carry people over water, in all weathers.', { max_tokens: 3 })), {
    status: 204,
  })
  const record = await worker.record('doc-7')
  assert.ok(record?.status === 'succeeded')
  assert.deepEqual([record.finishReason, record.usage.completionTokens], ['length', 3])
  assert.equal((await worker.modelCalls())[0]?.detail['deployment'], deployment)
})
