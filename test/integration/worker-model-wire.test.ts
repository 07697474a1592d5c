import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { jobUrls } from '../../shared/job/job.ts'
import { MAX_ANSWER_BYTES } from '../../shared/models/azure-openai/answer-size.ts'
import { cloud, DONE, JOB, onModel } from '../support/on-worker.ts'

const deployment = cloud.env['AZURE_OPENAI_DEPLOYMENT']
const version = '2025-04-01-preview'

describe('what a worker sends to Azure', () => {
  const planted = {
    OPENAI_API_KEY: 'canary',
    OPENAI_ADMIN_KEY: 'canary',
    AZURE_OPENAI_API_KEY: 'canary',
    OPENAI_BASE_URL: 'http://canary.invalid/v1',
    AZURE_OPENAI_ENDPOINT: 'http://canary.invalid',
    OPENAI_ORG_ID: 'canary',
    OPENAI_PROJECT_ID: 'canary',
    OPENAI_WEBHOOK_SECRET: 'canary',
    OPENAI_API_VERSION: '1999-01-01',
    OPENAI_CUSTOM_HEADERS: 'api-key: canary\nx-canary: canary',
  }
  const names = Object.keys(planted)
  const found = Object.fromEntries(names.map((name) => [name, process.env[name]]))
  before(() => {
    Object.assign(process.env, planted)
  })
  after(() => {
    for (const name of names) delete process.env[name]
    Object.assign(process.env, Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)))
  })

  for (const [url, apiVersion, address] of [
    ['/v1/responses', undefined, '/openai/v1/responses'],
    ['/v1/responses', version, `/openai/responses?api-version=${version}`],
    ['/v1/embeddings', version, `/openai/deployments/${deployment}/embeddings?api-version=${version}`],
  ] as const) {
    test(`for ${url} on ${apiVersion ?? 'the v1 API'} is the body, one token and nothing of the environment`, () =>
      onModel('{}', { OPENAI_API_VERSION: apiVersion, ALLOW_BODY_FIELDS: 'other' }, async (worker) => {
        const body = { input: 'Bridges.', unknown: [null, 1e300], 'max-tokens': 7 }
        await worker.push({ id: 'doc-7', url, body })
        const [request, ...others] = worker.requests
        assert.deepEqual([request?.method, request?.url, others], ['POST', address, []])
        assert.deepEqual(JSON.parse(request?.body ?? ''), { ...body, model: deployment })
        const headers = request?.headers ?? {}
        assert.match(headers.authorization ?? '', /^Bearer eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
        assert.doesNotMatch(JSON.stringify(request), /canary|api-key/i)
        const ofHttp = ['accept-encoding', 'connection', 'content-length', 'host']
        const ours = ['accept', 'authorization', 'content-type', 'user-agent', 'x-ms-client-request-id']
        assert.deepEqual(Object.keys(headers).toSorted(), [...ours, ...ofHttp].toSorted())
        // A compressed answer would have to be unpacked within a limit.
        assert.equal(headers['accept-encoding'], 'identity')
      }))
  }
})

/** JSON that no serializer writes: extra spaces, escapes, numbers beyond doubles, unknown fields. */
const answers: Readonly<Record<(typeof jobUrls)[number], readonly string[]>> = {
  '/v1/chat/completions': [
    `{ "choices":[ {"finish_reason" : "stop","message":{"content":null,"refusal":"I\\u0027m sorry \\ud83d\\ude00 €"}} ],
      "usage":{"prompt_tokens":1.0,"completion_tokens":2e0,"big":12345678901234567890},"x":1,"x":2}\n`,
    '{"choices":[{"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{\\"a\\": 1}"}}]}},{"finish_reason":"stop","message":{"parsed":{"a":1}}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":2}}}',
  ],
  '/v1/responses': [
    '{"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"No\\n"}]}],\r\n"usage":{"input_tokens":1,"output_tokens":2,"x":0.10}, "__proto__":{"a":1}}',
    '{"status" :"incomplete","output":[{"type":"function_call","arguments":"{\\"a"}],"incomplete_details":{"reason":"content_filter"},"usage":{"input_tokens":1,"output_tokens":2}}',
  ],
  '/v1/embeddings': [
    '{"data":[{"embedding":[0.10,-1E-7, 123456789.123456789012345]}],"usage":{"prompt_tokens":1}}',
    '{"data":[{"embedding":"AACAPg=="},{"embedding":"AACAvg=="}],"usage":{"prompt_tokens":1},"later":{}}',
  ],
}

describe('what Azure answers is in the record byte for byte', () => {
  for (const url of jobUrls) {
    test(url, async () => {
      for (const text of answers[url]) {
        await onModel(text, {}, async (worker) => {
          assert.deepEqual(await worker.push({ id: 'doc-7', url, body: {} }), DONE)
          const succeeded = { status: 'succeeded', result: { in: 'record', text } }
          assert.partialDeepStrictEqual(await worker.record('doc-7'), succeeded)
        })
      }
    })
  }
})

test('an answer without usage, after a byte order mark, is kept at the first call: its usage is marked as unknown', () => {
  const text = '{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"A bridge."}}]}'
  return onModel(`\ufeff${text}`, {}, async (worker) => {
    assert.deepEqual(await worker.push(JOB), DONE)
    const kept = { status: 'succeeded', result: { in: 'record', text }, finishReason: 'stop', usageKnown: false }
    assert.partialDeepStrictEqual(await worker.record('doc-7'), kept)
    assert.equal(worker.requests.length, 1)
  })
})

describe('an answer of which nothing can be kept is paid once: its job is dead-lettered, and says what it cost', () => {
  test('because it is too long', () =>
    onModel(' '.repeat(MAX_ANSWER_BYTES + 1), {}, async (worker) => {
      assert.deepEqual(await worker.push(JOB), DONE)
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'dead_lettered')
      assert.equal(record.error.kind, 'oversized')
      assert.match(record.error.hint ?? '', /has billed/)
      assert.deepEqual([record.attempts[0]?.outcome, record.attempts[0]?.httpStatus], ['oversized', 200])
      assert.deepEqual([worker.requests.length, (await worker.deadLetters()).length], [1, 1])
    }))
})

test('a refusal that is too long is reported by its status alone', async () => {
  for (const [length, code] of [
    [1_000, 'content_filter'],
    [2_000_000, undefined],
  ] as const) {
    const refusal = JSON.stringify({ error: { code: 'content_filter', message: 'x'.repeat(length) } })
    await onModel([refusal, 400], {}, async (worker) => {
      assert.deepEqual(await worker.push(JOB), DONE)
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.error.code], ['rejected', code])
    })
  }
})
