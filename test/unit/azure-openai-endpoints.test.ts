import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Job } from '../../shared/job/job.ts'
import { MAX_ANSWER_BYTES } from '../../shared/models/azure-openai/answer-size.ts'
import { addressOf, endpoints } from '../../shared/models/azure-openai/endpoints.ts'
import { mostAnswerBytes } from '../../shared/models/job-answer.ts'

const usage = (promptTokens: number, completionTokens: number) => ({ promptTokens, completionTokens })
const stopped = (finishReason: string, used: unknown = usage(11, 7)) => ({ ok: true, usage: used, finishReason })
/** An answer without a usage. */
const withoutUsage = (finishReason: string) => ({ ok: true, usage: undefined, finishReason })
/** None of these is an answer of the endpoint. */
function refuses(read: (answer: unknown) => unknown, others: Readonly<Record<string, unknown>>): void {
  const never = { 'an empty object': {}, 'a list': [], 'a page of HTML': '<!doctype html>', null: null }
  for (const [what, answer] of Object.entries({ ...never, ...others })) {
    test(`is not ${what}`, () => assert.equal(read(answer), undefined))
  }
}

/** Fields that hold nothing of use. */
const NOTHING = [undefined, null, 7, 'x', [], {}]
const FILTERED = {
  kind: 'rejected',
  code: 'content_filter',
  message: "the deployment's content filter removed the whole answer",
  hint: 'Azure has billed this attempt. Change the prompt, or ask for another filter policy; then replay the job.',
}

describe('a chat completion', () => {
  const { read } = endpoints['/v1/chat/completions']
  const message = { role: 'assistant', content: 'Bridges.' }
  const choice = { index: 0, finish_reason: 'stop', message }
  const completion = { choices: [choice], usage: { prompt_tokens: 11, completion_tokens: 7 } }

  test('gives its usage and its finish reason', () => {
    assert.deepEqual(read(completion), stopped('stop'))
  })

  for (const reason of ['length', 'content_filter', 'tool_calls', 'function_call', 'a reason of tomorrow']) {
    test(`may end by ${reason}`, () => {
      assert.deepEqual(read({ ...completion, choices: [{ ...choice, finish_reason: reason }] }), stopped(reason))
    })
  }

  test('of two choices gives the finish reason of the first', () => {
    const choices = [choice, { ...choice, index: 1, finish_reason: 'length' }]
    assert.deepEqual(read({ ...completion, choices }), stopped('stop'))
  })

  test('may be a refusal, a tool call, or empty where the filter struck', () => {
    for (const said of [{ content: null, refusal: 'No.' }, { content: null, tool_calls: [{ id: 'call_1' }] }, {}]) {
      assert.deepEqual(read({ ...completion, choices: [{ ...choice, message: said }] }), stopped('stop'))
    }
  })

  test('says which input tokens were cached, if there were any', () => {
    const used = (details: unknown) => ({
      ...completion,
      usage: { ...completion.usage, prompt_tokens_details: details },
    })
    const cached = { cachedTokens: 8, cacheWriteTokens: 2 }
    assert.deepEqual(
      read(used({ cached_tokens: 8, cache_write_tokens: 2 })),
      stopped('stop', { ...usage(11, 7), ...cached }),
    )
    for (const details of [{ cached_tokens: 0 }, { cached_tokens: '8' }, {}, null, 8]) {
      assert.deepEqual(read(used(details)), stopped('stop'), JSON.stringify(details))
    }
    const given = { input_tokens: 11, output_tokens: 7, input_tokens_details: { cached_tokens: 8 } }
    const response = { status: 'completed', output: [], usage: given }
    assert.deepEqual(endpoints['/v1/responses'].read(response), stopped('stop', { ...usage(11, 7), cachedTokens: 8 }))
  })

  test('may have used nothing', () => {
    const used = { prompt_tokens: 0, completion_tokens: 0 }
    assert.deepEqual(read({ ...completion, usage: used }), stopped('stop', usage(0, 0)))
  })

  test('is kept where its usage is absent, null, of another type, or incomplete: it is unknown then, not 0', () => {
    const counts = { prompt_tokens: 11, completion_tokens: 7 }
    const halves = [{ prompt_tokens: 11 }, { completion_tokens: 7 }]
    const odd = [1.5, -1, '11', null, true].map((prompt_tokens) => ({ ...counts, prompt_tokens }))
    for (const used of [...NOTHING, ...halves, ...odd]) {
      assert.deepEqual(read({ ...completion, usage: used }), withoutUsage('stop'), JSON.stringify(used))
    }
  })

  test('is kept where its finish reason is absent, null, or of another type: it is unknown then', () => {
    for (const finish_reason of [undefined, null, 7, {}]) {
      assert.deepEqual(read({ ...completion, choices: [{ ...choice, finish_reason }] }), stopped('unknown'))
    }
  })

  test('is kept where its message is a plain text', () => {
    assert.deepEqual(read({ ...completion, choices: [{ ...choice, message: 'A bridge.' }] }), stopped('stop'))
  })

  test('is kept where only a later choice has a message', () => {
    const filtered = { index: 0, finish_reason: 'content_filter', message: null }
    assert.deepEqual(read({ ...completion, choices: [filtered, choice] }), stopped('content_filter'))
  })

  test('of which the filter took the whole message is rejected, and paid', () => {
    for (const gone of [{}, { message: null }, { message: 7 }]) {
      const choices = [{ index: 0, finish_reason: 'content_filter', ...gone }]
      assert.deepEqual(read({ ...completion, choices }), { ok: false, failure: { ...FILTERED, usage: usage(11, 7) } })
      assert.deepEqual(read({ choices }), { ok: false, failure: FILTERED })
    }
  })

  refuses(read, {
    'nothing at all': undefined,
    'no choices': { ...completion, choices: undefined },
    'empty choices': { ...completion, choices: [] },
    'a choice that is null': { ...completion, choices: [null] },
    'a choice without a message': { ...completion, choices: [{ ...choice, message: undefined }] },
    'a choice whose message is null': { ...completion, choices: [{ ...choice, message: null }] },
    'an error': { error: { code: 'x' } },
  })
})

describe('a response', () => {
  const { read } = endpoints['/v1/responses']
  const output = [{ type: 'message', content: [{ type: 'output_text', text: 'Bridges.' }] }]
  const completed = { status: 'completed', output, error: null, usage: { input_tokens: 11, output_tokens: 7 } }
  const emptyMessage = [{ type: 'message', content: [] }]
  const incomplete = (details: unknown) => ({ ...completed, status: 'incomplete', incomplete_details: details })
  const failed = (error: unknown, used: unknown = null) => ({ status: 'failed', output: [], error, usage: used })
  const failureOf = (answer: unknown) => {
    const reading = read(answer)
    assert.ok(reading !== undefined && !reading.ok)
    return reading.failure
  }

  test('that is completed gives its usage, and has stopped', () => {
    assert.deepEqual(read(completed), stopped('stop'))
  })

  test('may be a refusal or a tool call, or say nothing', () => {
    const refusal = [{ type: 'message', content: [{ type: 'refusal', refusal: 'No.' }] }]
    for (const said of [refusal, [{ type: 'function_call', name: 'f', arguments: '{}' }], []]) {
      assert.deepEqual(read({ ...completed, output: said }), stopped('stop'))
    }
  })

  for (const [reason, expected] of [
    ['max_output_tokens', 'length'],
    ['content_filter', 'content_filter'],
    ['a reason of tomorrow', 'a reason of tomorrow'],
    [null, 'incomplete'],
  ] as const) {
    test(`that is incomplete by ${reason} was paid, and has the finish reason ${expected}`, () => {
      assert.deepEqual(read(incomplete({ reason })), stopped(expected))
    })
  }

  test('that is incomplete and does not say why has an unknown finish reason', () => {
    for (const details of [null, undefined, {}]) assert.deepEqual(read(incomplete(details)), stopped('incomplete'))
  })

  test('is kept where its usage is absent, null, of another type, or incomplete', () => {
    for (const used of [...NOTHING, { input_tokens: 11 }, { input_tokens: 11, output_tokens: '7' }]) {
      assert.deepEqual(read({ ...completed, usage: used }), withoutUsage('stop'))
      assert.deepEqual(read({ ...incomplete({ reason: 'max_output_tokens' }), usage: used }), withoutUsage('length'))
    }
  })

  test('is kept where its status is absent or unknown, and it has text', () => {
    const call = [{ type: 'function_call', name: 'f', arguments: '{}' }]
    for (const status of [undefined, null, 7, 'a status of tomorrow']) {
      for (const said of [output, call]) {
        assert.deepEqual(read({ ...completed, status, output: said }), stopped('unknown'))
      }
    }
  })

  test('of which the filter took the whole output is rejected, and paid', () => {
    const gone = { ...incomplete({ reason: 'content_filter' }), output: null }
    assert.deepEqual(read(gone), { ok: false, failure: { ...FILTERED, usage: usage(11, 7) } })
  })

  for (const error of [
    ...['server_error', 'vector_store_timeout', 'an error of tomorrow', null].map((code) => ({ code })),
    ...[null, undefined, {}],
  ]) {
    test(`that failed by ${JSON.stringify(error)} may have been billed, and is never reported in its words`, () => {
      const failure = failureOf(failed(error && { ...error, message: 'canary' }))
      assert.equal(failure.kind, 'ambiguous')
      assert.doesNotMatch(JSON.stringify(failure), /canary/)
    })
  }

  for (const code of ['invalid_prompt', 'invalid_base64_image', 'image_too_large', 'empty_image_file', 'bio_policy']) {
    test(`that failed by ${code} would fail again`, () => {
      assert.deepEqual(failureOf(failed({ code, message: 'canary' })), {
        kind: 'rejected',
        code,
        message: 'Azure OpenAI refused the content of the request',
      })
    })
  }

  test('that failed by the quota before a token was used is throttled, and no attempt', () => {
    const error = { code: 'rate_limit_exceeded', message: 'canary' }
    for (const used of [null, undefined, { input_tokens: 0, output_tokens: 0 }]) {
      assert.equal(failureOf(failed(error, used)).kind, 'throttled')
    }
  })

  test('that failed by the quota after a token was used may have been billed', () => {
    for (const used of [
      { input_tokens: 1, output_tokens: 0 },
      { input_tokens: 0, output_tokens: 1 },
    ]) {
      assert.equal(failureOf(failed({ code: 'rate_limit_exceeded' }, used)).kind, 'ambiguous')
    }
  })

  refuses(read, {
    'one still queued': { ...completed, status: 'queued' },
    'one in progress': { ...completed, status: 'in_progress' },
    'one that was cancelled': { ...completed, status: 'cancelled' },
    'one without a status that said nothing': { ...completed, status: undefined, output: [] },
    'one without a status that only thought': { ...completed, status: undefined, output: [{ type: 'reasoning' }] },
    'one without a status whose message is empty': { ...completed, status: undefined, output: emptyMessage },
    'one without output': { ...completed, output: undefined },
    'one incomplete without output': { ...incomplete({ reason: 'max_output_tokens' }), output: undefined },
    'a chat completion': { choices: [{ finish_reason: 'stop', message: {} }], usage: { prompt_tokens: 1 } },
  })
})

describe('embeddings', () => {
  const { read } = endpoints['/v1/embeddings']
  const list = (...vectors: unknown[]) => ({
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    usage: { prompt_tokens: 11, total_tokens: 11 },
  })

  test('cost their prompt, and have stopped', () => {
    assert.deepEqual(read(list([0.25, -1])), stopped('stop', usage(11, 0)))
  })

  test('are kept where their usage is absent, null, or of another type', () => {
    for (const used of [...NOTHING, { prompt_tokens: null }]) {
      assert.deepEqual(read({ ...list([1]), usage: used }), withoutUsage('stop'))
    }
  })

  test('may be base64, and many', () => {
    assert.deepEqual(read(list('AACAPg==', 'AACAvg==')), stopped('stop', usage(11, 0)))
  })

  refuses(read, {
    'an empty list': list(),
    'a vector that is null': list(null),
    'one vector of two that is missing': list([1], undefined),
    'a vector that is an object': list({ 0: 1 }),
  })
})

describe('the address of a request', () => {
  const dated = { 'api-version': '2025-03-01-preview' }

  test('on the v1 API is its url', () => {
    for (const url of ['/v1/chat/completions', '/v1/responses', '/v1/embeddings'] as const) {
      assert.deepEqual(addressOf(url, 'gpt-4o-eu', undefined), { path: url, query: {} })
    }
  })

  for (const [url, path] of [
    ['/v1/chat/completions', '/deployments/gpt-4o-eu/chat/completions'],
    ['/v1/embeddings', '/deployments/gpt-4o-eu/embeddings'],
    ['/v1/responses', '/responses'],
  ] as const) {
    test(`${url} on a dated version is ${path}`, () => {
      assert.deepEqual(addressOf(url, 'gpt-4o-eu', dated['api-version']), { path, query: dated })
    })
  }

  test('keeps a deployment of any name in its place', () => {
    const { path } = addressOf('/v1/embeddings', '../a/b?c#d', dated['api-version'])
    assert.equal(path, '/deployments/..%2Fa%2Fb%3Fc%23d/embeddings')
  })
})

describe('what the model said in plain text', () => {
  const chat = (...choices: unknown[]) => endpoints['/v1/chat/completions'].textOf({ choices })
  const response = (...output: unknown[]) => endpoints['/v1/responses'].textOf({ output })
  const message = (...content: unknown[]) => ({ type: 'message', content })
  const said = (text: unknown) => ({ type: 'output_text', text })

  test("is the first choice's content", () => {
    assert.equal(chat({ message: { content: 'One.' } }, { message: { content: 'Two.' } }), 'One.')
    assert.equal(chat({ message: { content: '' } }), '')
    assert.equal(chat({ message: 'A bridge.' }), 'A bridge.')
  })

  test('is nothing where a tool is called, a refusal came, or no choice', () => {
    assert.equal(chat({ message: { content: null, tool_calls: [] } }), undefined)
    assert.equal(chat({ message: { content: null, refusal: 'No.' } }), undefined)
    assert.equal(chat(), undefined)
  })

  test("is the texts of a response's messages, put together", () => {
    const reasoning = { type: 'reasoning', summary: [], content: [said('hidden')] }
    const refusal = { type: 'refusal', refusal: 'No.' }
    assert.equal(response(reasoning, message(said('One. '), refusal), message(said('Two.'), said(7))), 'One. Two.')
  })

  test('is nothing where a response has no message, or no output', () => {
    assert.equal(response({ type: 'function_call' }, message(), null), undefined)
    assert.equal(endpoints['/v1/responses'].textOf({ status: 'completed' }), undefined)
  })

  test('is nothing for embeddings', () => {
    assert.equal(endpoints['/v1/embeddings'].textOf({ data: [{ embedding: [0.5] }] }), undefined)
  })
})

describe('the most bytes of an answer', () => {
  const chat = (body: Job['body']) => mostAnswerBytes({ url: '/v1/chat/completions', body })
  const response = (body: Job['body']) => mostAnswerBytes({ url: '/v1/responses', body })
  const vectors = (body: Job['body']) => mostAnswerBytes({ url: '/v1/embeddings', body })

  test('in words are a small fixed number where the job asks for nothing more', () => {
    for (const body of [{}, { n: 1 }, { logprobs: false, top_logprobs: 5 }, { max_tokens: null }]) {
      assert.equal(chat(body), 0, JSON.stringify(body))
    }
    assert.equal(response({ input: 'Bridges.', include: ['reasoning.encrypted_content'] }), 0)
  })

  test('in words are those of its own cap, times its choices', () => {
    assert.equal(chat({ max_completion_tokens: 1_000 }), 8_000)
    assert.equal(chat({ max_tokens: 1_000, n: 3 }), 24_000)
    assert.equal(chat({ n: 2 }), 2 * chat({ max_tokens: 4_096 }))
    assert.equal(response({ max_output_tokens: 1_000 }), 8_000)
  })

  test('with logprobs are those of every token that is listed beside the chosen one', () => {
    assert.equal(chat({ max_tokens: 1_000, logprobs: true }), 158_000)
    assert.equal(chat({ max_tokens: 1_000, logprobs: true, top_logprobs: 20 }), 3_158_000)
    const include = ['message.output_text.logprobs']
    assert.equal(response({ max_output_tokens: 1_000, include, top_logprobs: 20 }), 3_158_000)
  })

  test('in vectors grow with the inputs and their dimensions', () => {
    const one = vectors({ input: 'Bridges.' })
    assert.equal(one, 100 + 3_072 * 24)
    assert.equal(vectors({ input: ['a', 'b', 'c'] }), 3 * one)
    assert.equal(vectors({ input: ['a', 'b'], dimensions: 256 }), 2 * (100 + 256 * 24))
  })

  test('in vectors are a fifth in base64', () => {
    assert.equal(vectors({ input: 'Bridges.', encoding_format: 'base64' }), 100 + 3_072 * 4 * (4 / 3))
  })

  test('in vectors are those of one input where it is a list of tokens, and of each where it is a list of lists', () => {
    assert.equal(vectors({ input: [1, 2, 3] }), vectors({ input: 'Bridges.' }))
    assert.equal(vectors({ input: [[1, 2], [3]] }), vectors({ input: ['a', 'b'] }))
  })

  test('are never more than are read, and never fewer than none, whatever a body says', () => {
    assert.equal(vectors({ input: Array(100_000).fill('a'), dimensions: 1e308 }), MAX_ANSWER_BYTES)
    assert.equal(chat({ n: 1e300, max_tokens: 1e300 }), MAX_ANSWER_BYTES)
    for (const odd of [-1, 0, Number.NaN, '7', null, {}, []]) {
      assert.equal(chat({ n: odd, logprobs: true, top_logprobs: odd, max_tokens: 10 }), 1_580)
      assert.equal(vectors({ input: odd, dimensions: odd }), Array.isArray(odd) ? 0 : vectors({ input: 'a' }))
    }
  })
})
