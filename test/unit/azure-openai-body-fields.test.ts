import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bodyFieldNames, findForbidden } from '../../shared/job/body-fields.ts'
import type { JobUrl } from '../../shared/job/job.ts'

const CHAT = '/v1/chat/completions'
const RESPONSES = '/v1/responses'
const EMBEDDINGS = '/v1/embeddings'

const inChat = (body: object, ...allowed: string[]) => findForbidden({ url: CHAT, body: { ...body } }, allowed)
const inResponse = (body: object, ...allowed: string[]) => findForbidden({ url: RESPONSES, body: { ...body } }, allowed)
const userSays = (...content: object[]) => ({ messages: [{ role: 'user', content }] })
const userShows = (url: string) => userSays({ type: 'image_url', image_url: { url } })
const inputOf = (...input: object[]) => ({ input })
const contentOf = (content: object) => inputOf({ content: [content] })

describe('a body that only asks for an answer to what it holds is allowed', () => {
  for (const [what, url, body] of [
    ['a chat', CHAT, { model: 'm', messages: [], n: 2, temperature: 0, response_format: { type: 'json_object' } }],
    ['a chat with functions', CHAT, { tools: [{ type: 'function', function: { name: 'f' } }, { type: 'custom' }] }],
    ['a chat with an image in it', CHAT, userShows('data:image/png;base64,AA')],
    [
      'a chat with a file in it',
      CHAT,
      userSays({ type: 'file', file: { filename: 'a.pdf', file_data: 'data:;base64,' } }),
    ],
    [
      'a chat that speaks',
      CHAT,
      { messages: [], modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } },
    ],
    [
      'a response',
      RESPONSES,
      { input: 'x', instructions: 'y', reasoning: { effort: 'low' }, text: { verbosity: 'low' } },
    ],
    ['a response to an image in it', RESPONSES, contentOf({ type: 'input_image', image_url: 'DATA:image/png,' })],
    [
      'a response to earlier items',
      RESPONSES,
      inputOf({ type: 'reasoning' }, { type: 'function_call_output', output: 'x' }),
    ],
    ['embeddings', EMBEDDINGS, { input: [1, 2], dimensions: 8, encoding_format: 'base64', user: 'u' }],
  ] as const) {
    test(what, () => assert.deepEqual(findForbidden({ url, body }, []), []))
  }

  test('what is null, false or the default asks for nothing', () => {
    const nothing = { data_sources: null, stream: false, previous_response_id: null, invented: null }
    for (const service_tier of ['auto', 'default', null]) {
      assert.deepEqual(inResponse({ input: 'x', background: false, store: false, ...nothing, service_tier }), [])
    }
  })
})

describe('what has Azure reach out, keep something or bill at another price is refused by name, and allowed by it', () => {
  const mcp = { type: 'mcp', server_label: 'x', server_url: 'https://evil.example' }
  for (const [name, url, body] of [
    ['data_sources', CHAT, { data_sources: [{ type: 'azure_search' }] }],
    ['web_search_options', CHAT, { web_search_options: {} }],
    ['store', CHAT, { store: true }],
    ['store', RESPONSES, { store: 'true' }],
    ['store', RESPONSES, { store: 1 }],
    ['previous_response_id', RESPONSES, { previous_response_id: 'resp_1' }],
    ['conversation', RESPONSES, { conversation: { id: 'conv_1' } }],
    ['prompt', RESPONSES, { prompt: { id: 'pmpt_1' } }],
    ['context_management', RESPONSES, { context_management: [] }],
    ['prompt_cache_retention', CHAT, { prompt_cache_retention: '24h' }],
    ['service_tier.priority', CHAT, { service_tier: 'priority' }],
    ['service_tier.flex', RESPONSES, { service_tier: 'flex' }],
    ['other.service_tier.Priority', RESPONSES, { service_tier: 'Priority' }],
    ['other.service_tier.unknown', RESPONSES, { service_tier: { toString: null } }],
    ['tools.mcp', RESPONSES, { tools: [{ type: 'function', name: 'f' }, mcp] }],
    ['tools.mcp', RESPONSES, { tools: { 0: mcp } }],
    ['tools.code_interpreter', RESPONSES, { tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] }],
    ['tools.web_search_preview', RESPONSES, { tools: [{ type: 'web_search_preview' }] }],
    ['other.tools.MCP', RESPONSES, { tools: [{ type: 'MCP' }] }],
    ['other.tools.unknown', RESPONSES, { tools: [{ type: ['mcp'] }] }],
    ['tools.mcp', CHAT, { tools: [mcp] }],
    ['input.item_reference', RESPONSES, inputOf({ type: 'item_reference', id: 'msg_1' })],
    ['input.mcp_approval_response', RESPONSES, inputOf({ type: 'mcp_approval_response', approve: true })],
    ['other.input.unknown', RESPONSES, inputOf({ type: {} })],
    ['image_url', CHAT, userShows('http://169.254.169.254/')],
    ['image_url', CHAT, userShows(' data:,')],
    ['image_url', CHAT, userSays({ type: 'image_url', image_url: 'https://evil.example' })],
    ['image_url', RESPONSES, contentOf({ type: 'input_image', image_url: 'https://evil.example' })],
    [
      'image_url',
      RESPONSES,
      inputOf({ type: 'function_call_output', output: [{ image_url: 'https://evil.example' }] }),
    ],
    ['file_url', RESPONSES, contentOf({ type: 'input_file', file_url: 'https://evil.example' })],
    ['file_id', RESPONSES, contentOf({ type: 'input_file', file_id: 'file_1' })],
    ['file_id', CHAT, userSays({ type: 'file', file: { file_id: 'file_1' } })],
    ['audio.id', CHAT, { messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] }],
    ['other.video_url', CHAT, userSays({ type: 'video_url', video_url: { url: 'https://evil.example' } })],
    ['other.dataSources', CHAT, { dataSources: [] }],
    ['other.Store', CHAT, { Store: true }],
    ['other.top_k', CHAT, { top_k: 5 }],
    ['other.extra_body', CHAT, { extra_body: { store: true } }],
    ['other.constructor', CHAT, { constructor: 1 }],
    ['other.max_output_tokens', CHAT, { max_output_tokens: 5 }],
    ['other.max_tokens', RESPONSES, { max_tokens: 5 }],
    ['other.input', CHAT, { input: 'x' }],
    ['other.tools', EMBEDDINGS, { tools: [] }],
    ['tools.mcp', EMBEDDINGS, { tools: [mcp] }],
  ] as const) {
    test(`${name} of ${url}: ${JSON.stringify(body).slice(0, 90)}`, () => {
      const forbidden = findForbidden({ url, body }, ['data_sourcesx', 'too', 'image'])
      assert.ok(forbidden.includes(name), forbidden.join())
      assert.deepEqual(findForbidden({ url, body }, forbidden), [])
    })
  }

  test('each name once, and all of them', () => {
    const reaching = {
      tools: [{ type: 'mcp' }, { type: 'mcp' }, { type: 'shell' }],
      store: true,
      ...inputOf({ type: 'mcp_call' }),
    }
    assert.deepEqual(inResponse(reaching), ['store', 'tools.mcp', 'tools.shell', 'input.mcp_call'])
    assert.deepEqual(inResponse(reaching, 'tools.mcp', 'store'), ['tools.shell', 'input.mcp_call'])
  })

  test('what stands in an allowed tool or item has to be allowed as well', () => {
    const tools = [
      { type: 'namespace', tools: [{ type: 'function' }, { type: 'namespace', tools: [{ type: 'mcp' }] }] },
    ]
    assert.deepEqual(inResponse({ tools }, 'tools.namespace'), ['tools.mcp'])
    const input = [{ type: 'additional_tools', tools: [{ type: 'code_interpreter' }] }]
    assert.deepEqual(inResponse({ input }, 'input.additional_tools'), ['tools.code_interpreter'])
  })

  test('a name that has others under it allows them, and no name that only begins like it', () => {
    assert.deepEqual(inResponse({ tools: [{ type: 'mcp' }, { type: 'new' }] }, 'tools'), [])
    assert.deepEqual(inChat({ service_tier: 'priority' }, 'service_tier'), [])
    assert.deepEqual(inChat({ service_tier: 'priority' }, 'service_tier.p'), ['service_tier.priority'])
    assert.deepEqual(inChat({ top_k: 1, store: true }, 'other'), ['store'])
    assert.deepEqual(inChat({ tools: [{ type: 'new' }] }, 'other'), [])
  })
})

test('every name of the setting allows something', () => {
  const groups = bodyFieldNames.filter((name) => bodyFieldNames.some((other) => other.startsWith(`${name}.`)))
  assert.deepEqual(groups, ['service_tier', 'tools', 'input'])
  assert.equal(new Set(bodyFieldNames).size, bodyFieldNames.length)
})

/** The fields of the requests and the types of tools and items, as OpenAI's client declares them. */
function declared(file: string, start: string, pattern: RegExp): string[] {
  const text = readFileSync(new URL(`resources/${file}.d.ts`, import.meta.resolve('openai')), 'utf8')
  const from = text.indexOf(start)
  assert.ok(from >= 0, start)
  return [...text.slice(from, text.indexOf('\n}\n', from)).matchAll(pattern)].map(([, name = '']) => name)
}

test('every field that OpenAI’s client knows is free or has a name of its own', () => {
  for (const [url, file, name] of [
    [CHAT, 'chat/completions/completions', 'ChatCompletionCreateParamsBase'],
    [RESPONSES, 'responses/responses', 'ResponseCreateParamsBase'],
    [EMBEDDINGS, 'embeddings', 'EmbeddingCreateParams'],
  ] as const) {
    const fields = declared(file, `export interface ${name} {`, /^ {4}(\w+)\??:/gm)
    assert.ok(fields.length >= 5)
    for (const field of fields.filter((each) => each !== 'stream' && each !== 'background')) {
      const forbidden = findForbidden({ url, body: { [field]: 'x' } }, [])
      const unnamed = forbidden.filter((each) => each.startsWith('other.') && !each.startsWith('other.service_tier.'))
      assert.deepEqual(unnamed, [])
    }
  }
})

test('whatever stands in a body is judged without a throw, and what is named can be allowed', () => {
  const anyUrl = fc.constantFrom<JobUrl>(CHAT, RESPONSES, EMBEDDINGS)
  const keys = [
    'type',
    'tools',
    'input',
    'messages',
    'content',
    'image_url',
    'url',
    'file_id',
    'audio',
    'service_tier',
    '__proto__',
  ]
  const { value } = fc.letrec((again) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('mcp', null, 7, true, 'data:,'),
      fc.array(again('value')),
      again('object'),
    ),
    object: fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), again('value')),
  }))
  const anyBody = fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), value)
  fc.assert(
    fc.property(anyUrl, anyBody, (url, body) => {
      assert.deepEqual(findForbidden({ url, body }, findForbidden({ url, body }, [])), [])
    }),
  )
})
