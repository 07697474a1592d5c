import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { jobUrls } from '../../shared/job/job.ts'
import { MAX_ANSWER_BYTES } from '../../shared/models/azure-openai/answer-size.ts'
import { startRecordingModel } from '../support/recording-model.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const cloud = await startCloud()
after(() => cloud.close())

const deployment = cloud.env['AZURE_OPENAI_DEPLOYMENT']
const v1 = {
  chat: '/openai/v1/chat/completions',
  responses: '/openai/v1/responses',
  embeddings: '/openai/v1/embeddings',
}
const version = '2025-04-01-preview'
const under = `/openai/deployments/${deployment}`

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

  const table = [
    ['/v1/chat/completions', undefined, v1.chat],
    ['/v1/responses', undefined, v1.responses],
    ['/v1/embeddings', undefined, v1.embeddings],
    ['/v1/chat/completions', version, `${under}/chat/completions?api-version=${version}`],
    ['/v1/responses', version, `/openai/responses?api-version=${version}`],
    ['/v1/embeddings', version, `${under}/embeddings?api-version=${version}`],
  ] as const
  for (const [url, apiVersion, address] of table) {
    test(`for ${url} on ${apiVersion ?? 'the v1 API'} is the body, one token and nothing of the environment`, async () => {
      await using model = await startRecordingModel('{}')
      const settings = { AZURE_OPENAI_ENDPOINT: model.url, OPENAI_API_VERSION: apiVersion, ALLOW_BODY_FIELDS: 'other' }
      await using worker = await startWorker(cloud, { settings })
      const body = { input: 'Bridges.', unknown: [null, 1e300], 'max-tokens': 7 }
      await worker.push({ id: 'doc-7', url, body })
      const [request, ...others] = model.requests
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
    })
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

describe('what Azure answers', () => {
  for (const url of jobUrls) {
    test(`to ${url} is in the record byte for byte`, async () => {
      for (const text of answers[url]) {
        await using model = await startRecordingModel(text)
        await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
        assert.deepEqual(await worker.push({ id: 'doc-7', url, body: {} }), { status: 204 })
        const record = await worker.record('doc-7')
        assert.ok(record?.status === 'succeeded')
        assert.deepEqual(record.result, { in: 'record', text })
      }
    })

    test(`to ${url} and is of another form is an unknown attempt, for it may have been billed`, async () => {
      for (const text of [
        '{}',
        '[]',
        'null',
        '"text"',
        '{"choices":[],"output":[],"data":[]}',
        '{"status":"queued"}',
        '',
      ]) {
        await using model = await startRecordingModel(text)
        await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
        assert.deepEqual(await worker.push({ id: 'doc-7', url, body: {} }), { status: 503, reason: 'ambiguous' })
        assert.equal((await worker.record('doc-7'))?.attempts[0]?.outcome, 'unknown')
      }
    })
  }
})

describe('an answer that is whole is kept at the first call', () => {
  const whole: readonly (readonly [string, (typeof jobUrls)[number], string, string])[] = [
    [
      'without usage',
      '/v1/chat/completions',
      '{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"A bridge."}}]}',
      'stop',
    ],
    [
      'whose usage is null',
      '/v1/chat/completions',
      '{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"A bridge."}}],"usage":null}',
      'stop',
    ],
    ['without usage', '/v1/responses', '{"status":"completed","output":[]}', 'stop'],
    [
      'incomplete without usage',
      '/v1/responses',
      '{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":null}',
      'length',
    ],
    ['without usage', '/v1/embeddings', '{"data":[{"embedding":[0.5]}]}', 'stop'],
  ]
  for (const [what, url, text, finishReason] of whole) {
    test(`${url} ${what}: its usage is marked as unknown`, async () => {
      await using model = await startRecordingModel(text)
      await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
      assert.deepEqual(await worker.push({ id: 'doc-7', url, body: {} }), { status: 204 })
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'succeeded')
      assert.deepEqual(record.result, { in: 'record', text })
      assert.deepEqual([record.finishReason, record.usageKnown, model.requests.length], [finishReason, false, 1])
    })
  }

  const chat = (finish: string) =>
    `{"choices":[{"index":0,${finish}"message":{"role":"assistant","content":"A bridge."}}],"usage":{"prompt_tokens":11,"completion_tokens":4,"total_tokens":15}}`

  for (const finish of ['"finish_reason":null,', '']) {
    test(`where its finish reason is ${finish === '' ? 'absent' : 'null'}: it is unknown`, async () => {
      await using model = await startRecordingModel(chat(finish))
      await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
      assert.deepEqual(await worker.push({ id: 'doc-7', prompt: 'Bridges.' }), { status: 204 })
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'succeeded')
      assert.deepEqual([record.finishReason, record.usage.completionTokens], ['unknown', 4])
      assert.deepEqual([record.usageKnown, model.requests.length], [undefined, 1])
    })
  }

  test('where it begins with a byte order mark, which is not stored', async () => {
    const text = chat('"finish_reason":"stop",')
    await using model = await startRecordingModel(`\ufeff${text}`)
    await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
    assert.deepEqual(await worker.push({ id: 'doc-7', prompt: 'Bridges.' }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'succeeded')
    assert.deepEqual(record.result, { in: 'record', text })
    assert.equal(model.requests.length, 1)
  })
})

test('an answer that the filter took as a whole is dead-lettered at once, with what it cost', async () => {
  for (const message of ['"message":null', '"role":"assistant"']) {
    await using model = await startRecordingModel(
      `{"choices":[{"finish_reason":"content_filter",${message}}],"usage":{"prompt_tokens":11,"completion_tokens":4}}`,
    )
    await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
    assert.deepEqual(await worker.push({ id: 'doc-7', prompt: 'Bridges.' }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.error.kind, record.error.code], ['rejected', 'content_filter'])
    assert.deepEqual(record.attempts[0]?.usage, { promptTokens: 11, completionTokens: 4 })
    assert.equal(model.requests.length, 1)
  }
})

describe('an answer that is too long', () => {
  test('is paid for once: its job is dead-lettered, and says so', async () => {
    await using model = await startRecordingModel(' '.repeat(MAX_ANSWER_BYTES + 1))
    await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
    assert.deepEqual(await worker.push({ id: 'doc-7', prompt: 'Bridges.' }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'dead_lettered')
    assert.equal(record.error.kind, 'oversized')
    assert.match(record.error.hint ?? '', /has billed/)
    assert.deepEqual([record.attempts[0]?.outcome, record.attempts[0]?.httpStatus], ['oversized', 200])
    assert.deepEqual([model.requests.length, (await worker.deadLetters()).length], [1, 1])
  })
})

test('a refusal that is too long is reported by its status alone', async () => {
  for (const [length, code] of [
    [1_000, 'content_filter'],
    [2_000_000, undefined],
  ] as const) {
    const refusal = JSON.stringify({ error: { code: 'content_filter', message: 'x'.repeat(length) } })
    await using model = await startRecordingModel(refusal, 400)
    await using worker = await startWorker(cloud, { settings: { AZURE_OPENAI_ENDPOINT: model.url } })
    assert.deepEqual(await worker.push({ id: 'doc-7', prompt: 'Bridges.' }), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.error.kind, record.error.code], ['rejected', code])
  }
})

describe('a response that came with 200 and failed', () => {
  const failed = (code: string) =>
    JSON.stringify({ status: 'failed', output: [], error: { code, message: 'canary' }, usage: null })
  const job = { id: 'doc-7', url: '/v1/responses', body: { input: 'Bridges.' } }
  const start = async (code: string) => {
    const model = await startRecordingModel(failed(code))
    const settings = { AZURE_OPENAI_ENDPOINT: model.url, MODEL_TIMEOUT_SECONDS: '4' }
    return { model, worker: await startWorker(cloud, { settings }) }
  }

  test('for a fault of the server is an unknown attempt, asked once', async () => {
    const on = await start('server_error')
    await using model = on.model
    await using worker = on.worker
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'ambiguous' })
    const [attempt] = (await worker.record('doc-7'))?.attempts ?? []
    assert.deepEqual([attempt?.outcome, attempt?.httpStatus, model.requests.length], ['unknown', 200, 1])
  })

  test('for what it says is dead-lettered at once, by its code and not in its words', async () => {
    const on = await start('invalid_prompt')
    await using _model = on.model
    await using worker = on.worker
    assert.deepEqual(await worker.push(job), { status: 204 })
    const record = await worker.record('doc-7')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.error.kind, record.error.code], ['rejected', 'invalid_prompt'])
    assert.doesNotMatch(JSON.stringify(record) + worker.logText(), /canary/)
  })

  test('for its quota is deferred as no attempt', async () => {
    const on = await start('rate_limit_exceeded')
    await using _model = on.model
    await using worker = on.worker
    assert.deepEqual(await worker.push(job), { status: 503, reason: 'throttled' })
    const record = await worker.record('doc-7')
    assert.deepEqual([record?.status, record?.attempts, record?.uncounted], ['waiting', [], { throttled: 1 }])
  })
})
