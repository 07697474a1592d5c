import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sha256 } from '../support/job-builders.ts'
import { cloud, DONE, onModel, onWorker } from '../support/on-worker.ts'

const deployment = cloud.env['AZURE_OPENAI_DEPLOYMENT']
const jobText = (url: string, body: string) => `{"id":"doc-7","url":"${url}","body":${body}}`
const CHAT = '/v1/chat/completions'
const RESPONSES = '/v1/responses'
const EMBEDDINGS = '/v1/embeddings'
const mcp = '{"type":"mcp","server_label":"x","server_url":"https://evil.example"}'

const bodiesOf = (requests: readonly { readonly body: string }[]) => requests.map(({ body }) => body)

describe('a job that would spend or reach more than is allowed is invalid, and Azure is not asked', () => {
  for (const [what, url, body, error] of [
    ['a cap times its choices', CHAT, '{"messages":[],"max_tokens":26,"n":4}', /up to 104 output tokens; .* is 100$/],
    ['a cap in other than digits', CHAT, '{"messages":[],"max_tokens":1.01e2}', /^body\.max_tokens: must be a whole/],
    ['a tool that reaches out', RESPONSES, `{"input":"x","tools":[${mcp}]}`, /not allowed here: tools\.mcp$/],
  ] as const) {
    test(what, () =>
      onWorker({ MAX_OUTPUT_TOKENS: '100' }, async (worker) => {
        assert.deepEqual(await worker.push(jobText(url, body)), DONE)
        const [letter] = await worker.deadLetters()
        assert.equal(letter?.attributes['pb-reason'], 'invalid')
        assert.match(letter?.attributes['pb-error'] ?? '', error)
        assert.deepEqual(await worker.modelCalls(), [])
      }),
    )
  }
})

test('what the operator has allowed by name is asked', () =>
  onModel('{}', { ALLOW_BODY_FIELDS: 'tools.mcp,store' }, async (worker) => {
    const members = `"input":"x","store":true,"tools":[${mcp}]`
    await worker.push(jobText(RESPONSES, `{${members}}`))
    assert.deepEqual(bodiesOf(worker.requests), [`{${members},"model":"${deployment}"}`])
  }))

describe('a cap that the body lacks is set where the operator set a limit, and nothing else is changed', () => {
  const rest = '"seed":6150769120280496265,"stop":null,"n":3,"logit_bias":{"7":1E2}'
  for (const [on, url, OPENAI_API_VERSION, cap] of [
    ['chat completions on the v1 API', CHAT, undefined, ',"max_completion_tokens":33'],
    ['chat completions on a new version', CHAT, '2024-12-01-preview', ',"max_completion_tokens":33'],
    ['chat completions on a version that has no other field', CHAT, '2024-10-21', ',"max_tokens":33'],
    ['responses', RESPONSES, undefined, ',"max_output_tokens":33'],
    ['embeddings, whose answers have no such tokens', EMBEDDINGS, undefined, ''],
  ] as const) {
    test(`${cap.slice(1) || 'nothing'} for ${on}`, () =>
      onModel('{}', { OPENAI_API_VERSION, MAX_OUTPUT_TOKENS: '100', ALLOW_BODY_FIELDS: 'other' }, async (worker) => {
        const text = jobText(url, `{${rest}}`)
        await worker.push(text)
        assert.deepEqual(bodiesOf(worker.requests), [`{${rest}${cap},"model":"${deployment}"}`])
        assert.equal((await worker.record('doc-7'))?.payloadHash, Buffer.from(sha256(text)).toString('hex'))
      }))
  }
})

test('without a limit that the operator set, a body is sent digit for digit as it is', () =>
  onModel('{}', {}, async (worker) => {
    const schema = '{"type":"integer","maximum":9223372036854775807,"multipleOf":0.1000}'
    const tools = `[{"function":{"parameters":${schema}}}]`
    const members = `"seed":6150769120280496265,"tools":${tools},"logit_bias":{"7":[1e400,-0,1E5]}`
    await worker.push(jobText(CHAT, `{${members}}`))
    assert.deepEqual(bodiesOf(worker.requests), [`{${members},"model":"${deployment}"}`])
  }))
