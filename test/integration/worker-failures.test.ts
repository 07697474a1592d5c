import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { attemptsOf, azureAnswers, cloud, DONE, deferred, IMPATIENT, JOB, onWorker } from '../support/on-worker.ts'
import { callsOf, clearFaults, placeFault } from '../support/stand-ins.ts'

/** A send has to begin within a quarter of it, on a busy machine too. */
const MODEL_TIMEOUT_SECONDS = '4'
const LONGEST_BACKOFF_MS = 300_000
const FILTERED = { ...JOB, body: { messages: [{ role: 'user', content: CONTENT_FILTER_MARKER }] } }

const tokenRequests = async () => (await callsOf(cloud.entra, 'token')).length
const reasonsOf = (letters: readonly { readonly attributes: Readonly<Record<string, string>> }[]) =>
  letters.map(({ attributes }) => attributes['pb-reason'])

describe('a request that Azure rejects for what it says is dead-lettered at once, as an attempt, with the fix', () => {
  for (const [rejected, error, code, fix] of [
    [FILTERED, undefined, 'content_filter/ResponsibleAIPolicyViolation', /content filter/],
    [JOB, 'unsupported_parameter', 'unsupported_parameter: max_tokens', /max_completion_tokens/],
  ] as const) {
    test(code, () =>
      onWorker({}, async (worker) => {
        if (error !== undefined) await azureAnswers({ error })
        assert.deepEqual(await worker.push(rejected), DONE)
        const record = await worker.record('doc-7')
        assert.partialDeepStrictEqual(record, { status: 'dead_lettered', error: { kind: 'rejected', code } })
        assert.deepEqual(attemptsOf(record), [[1, 'rejected', 400]])
        assert.equal((await worker.modelCalls()).length, 1)
        const [letter, ...others] = await worker.deadLetters()
        assert.deepEqual(others, [])
        const { 'pb-reason': reason, 'pb-code': named, 'pb-key': key, 'pb-hint': hint = '' } = letter?.attributes ?? {}
        assert.deepEqual([reason, named, key], ['rejected', code, record?.key])
        assert.match(hint, fix)
        assert.deepEqual(JSON.parse(Buffer.from(letter?.data ?? []).toString()), rejected)
      }),
    )
  }
})

test('a missing role defers the job as no attempt, asks once, renews no token, and is reported with the fix', () =>
  onWorker({}, async (worker) => {
    await azureAnswers({ error: 'data_action_missing' })
    const before = await tokenRequests()
    assert.deepEqual(await worker.push(JOB), deferred('forbidden'))
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { forbidden: 1 }])
    assert.deepEqual([(await worker.modelCalls()).length, await tokenRequests()], [1, before + 1])
    assert.deepEqual(await worker.deadLetters(), [])
    const fix = /Give the app registration [-\da-f]{36} the role.*missing: Microsoft\.CognitiveServices\/accounts/
    assert.match((await worker.tokenFailures())[0]?.hint ?? '', fix)
    assert.match(worker.logText(), fix)
  }))

test('a 503 defers the job without an attempt in its record, quotes nothing, and is waited for as long as it says', () =>
  onWorker({}, async (worker) => {
    const body = { error: { code: 'conflict', message: 'canary' } }
    await azureAnswers({ status: 503, headers: { 'retry-after': '60' }, body })
    for (let n = 0; n < 3; n += 1) assert.deepEqual(await worker.push(JOB), deferred('unavailable'))
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.folded?.[0]?.n], ['waiting', [], 1])
    assert.equal((await worker.modelCalls()).length, 1)
    assert.deepEqual(await worker.deadLetters(), [])
    assert.doesNotMatch(JSON.stringify(record) + worker.logText(), /canary/)
  }))

test('a token that Azure rejects is renewed once, and the same attempt goes on', () =>
  onWorker({}, async (worker) => {
    await azureAnswers({ error: 'unauthorized', times: 1 })
    const before = await tokenRequests()
    assert.deepEqual(await worker.push(JOB), DONE)
    const record = await worker.record('doc-7')
    assert.deepEqual([attemptsOf(record), record?.uncounted], [[[1, 'succeeded', 200]], {}])
    assert.deepEqual([(await worker.modelCalls()).length, await tokenRequests()], [2, before + 2])
  }))

describe('a job for which there is no token is deferred before it costs a record or a call', () => {
  for (const [what, standIn, error, match, logged] of [
    ['Entra is unavailable', cloud.entra, 'temporarily_unavailable', '/token', /"httpStatus":503/],
    ['the metadata server has no account', cloud.metadata, 'no_service_account', undefined, /"httpStatus":404/],
  ] as const) {
    test(what, () =>
      onWorker(IMPATIENT, async (worker) => {
        await placeFault(standIn, { kind: 'status', error, match })
        assert.deepEqual(await worker.push(JOB), deferred('token'))
        assert.equal(await worker.record('doc-7'), undefined)
        assert.deepEqual([await worker.modelCalls(), await worker.deadLetters()], [[], []])
        assert.match(worker.logText(), logged)
        await clearFaults(standIn)
        worker.clock.aheadMs = LONGEST_BACKOFF_MS
        assert.deepEqual(await worker.push(JOB), DONE)
      }),
    )
  }
})

// The longest jitter: with the shortest, the circuit would close within the minute that a job may be held.
test('a used-up quota that is back too late defers the job, and the next ones before they are claimed', () =>
  onWorker({ dependencies: { random: () => 1 } }, async (worker) => {
    await azureAnswers({ error: 'token_rate_limit', headers: { 'retry-after': '61' } })
    assert.deepEqual(await worker.push(JOB), deferred('throttled'))
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { throttled: 1 }])
    assert.deepEqual(await worker.push({ ...JOB, id: 'doc-8' }), deferred('throttled'))
    assert.equal(await worker.record('doc-8'), undefined)
    assert.equal((await worker.modelCalls()).length, 1)
  }))

test('a model that cannot be reached defers the job, as no attempt', () =>
  onWorker({ MODEL_TIMEOUT_SECONDS, AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:1' }, async (worker) => {
    assert.deepEqual(await worker.push(JOB), deferred('unreachable'))
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { unreachable: 1 }])
  }))

describe('a lost answer is an unknown attempt, never repeated within its delivery; the next delivery is the second', () => {
  for (const [what, fault, reason] of [
    ['a reset before the answer', { kind: 'reset', times: 1 }, 'ambiguous'],
    ['no answer in time, though it was billed', { kind: 'hang', billed: true, times: 1 }, 'timeout'],
  ] as const) {
    test(what, () =>
      onWorker(reason === 'timeout' ? { MODEL_TIMEOUT_SECONDS } : {}, async (worker) => {
        await placeFault(cloud.azure, fault)
        assert.deepEqual(await worker.push(JOB), deferred(reason))
        const unknown = [1, 'unknown', undefined]
        const waiting = await worker.record('doc-7')
        assert.deepEqual([waiting?.status, attemptsOf(waiting)], ['waiting', [unknown]])
        assert.deepEqual([(await worker.modelCalls()).length, await worker.deadLetters()], [1, []])
        assert.deepEqual(await worker.push(JOB), DONE)
        assert.deepEqual(attemptsOf(await worker.record('doc-7')), [unknown, [2, 'succeeded', 200]])
        const ids = (await worker.modelCalls()).map(({ detail }) => detail['clientRequestId'])
        assert.deepEqual(ids, [`${waiting?.key}.1.1`, `${waiting?.key}.1.2`])
      }),
    )
  }

  test('until its attempts are used up, which ends the job', () =>
    onWorker({ MAX_ATTEMPTS: '2' }, async (worker) => {
      await azureAnswers({ error: 'timeout' })
      assert.deepEqual([await worker.push(JOB), await worker.push(JOB)], [deferred('ambiguous'), DONE])
      const record = await worker.record('doc-7')
      assert.partialDeepStrictEqual(record, { status: 'dead_lettered', error: { kind: 'max_attempts' } })
      const lost = (n: number) => [n, 'unknown', 408]
      assert.deepEqual(attemptsOf(record), [lost(1), lost(2)])
      assert.deepEqual(reasonsOf(await worker.deadLetters()), ['max_attempts'])
    }))

  test('unless ON_UNKNOWN=dead-letter ends its job at once', () =>
    onWorker({ ON_UNKNOWN: 'dead-letter' }, async (worker) => {
      await azureAnswers({ error: 'server_error' })
      assert.deepEqual(await worker.push(JOB), DONE)
      const record = await worker.record('doc-7')
      assert.deepEqual([record?.status, attemptsOf(record)], ['dead_lettered', [[1, 'unknown', 500]]])
      assert.deepEqual(reasonsOf(await worker.deadLetters()), ['unknown'])
    }))
})
