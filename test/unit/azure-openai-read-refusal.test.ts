import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { FailureKind } from '../../shared/job/failures.ts'
import { readRefusal } from '../../shared/models/azure-openai/read-refusal.ts'

const NOW = Date.UTC(2026, 10, 24, 6)

const refuse = (httpStatus: number, error: unknown = undefined, headers: Record<string, string> = {}) =>
  readRefusal({ httpStatus, headers: new Headers(headers), error, deployment: {} }, NOW)

describe('the kind of a refusal', () => {
  const table: readonly (readonly [number, string | null | undefined, FailureKind])[] = [
    [400, 'content_filter', 'rejected'],
    [400, 'context_length_exceeded', 'rejected'],
    [400, null, 'rejected'],
    [400, undefined, 'rejected'],
    [413, undefined, 'rejected'],
    [422, undefined, 'rejected'],
    [401, undefined, 'unauthorized'],
    [401, '401', 'unauthorized'],
    [401, 'PermissionDenied', 'forbidden'],
    [403, undefined, 'forbidden'],
    [403, 'PermissionDenied', 'forbidden'],
    [400, 'Tenant provided in token does not match resource token', 'forbidden'],
    [404, 'DeploymentNotFound', 'no_deployment'],
    [404, '404', 'no_deployment'],
    [400, 'model_not_found', 'no_deployment'],
    [404, 'model_not_found', 'no_deployment'],
    [400, 'BadRequest', 'rejected'],
    [400, 'previous_response_not_found', 'rejected'],
    [404, 'previous_response_not_found', 'rejected'],
    [404, undefined, 'no_deployment'],
    [408, 'Timeout', 'ambiguous'],
    [429, '429', 'throttled'],
    [409, 'conflict', 'unavailable'],
    [424, undefined, 'unavailable'],
    [425, undefined, 'unavailable'],
    [499, undefined, 'unavailable'],
    [500, null, 'unavailable'],
    [501, undefined, 'unavailable'],
    [502, undefined, 'unavailable'],
    [503, undefined, 'unavailable'],
    [504, undefined, 'unavailable'],
    [529, undefined, 'unavailable'],
    [599, undefined, 'unavailable'],
    [307, undefined, 'forbidden'],
  ]
  for (const [status, code, kind] of table) {
    test(`for ${status} with the code ${code} is ${kind}`, () => {
      assert.equal(refuse(status, { code, message: 'canary' }).kind, kind)
    })
  }
})

describe('x-should-retry', () => {
  const ask = (status: number, value: string) => refuse(status, { code: 'x' }, { 'x-should-retry': value }).kind

  test('true makes any refusal of a request one that passes', () => {
    for (const status of [400, 409, 413, 418, 422, 500]) assert.equal(ask(status, 'true'), 'unavailable', `${status}`)
  })

  test('changes nothing about a token, a denial, a deployment, a quota, or what may have been billed', () => {
    for (const value of ['true', 'false']) {
      const kinds = [401, 403, 404, 429, 408].map((status) => ask(status, value))
      assert.deepEqual(kinds, ['unauthorized', 'forbidden', 'no_deployment', 'throttled', 'ambiguous'])
    }
  })

  test('false ends no job that a server error holds: it waits by its record, and is not sent again at once', () => {
    assert.equal(ask(503, 'false'), 'unavailable')
    assert.equal(ask(400, 'false'), 'rejected')
  })
})

describe('a refusal proves that the service accepted the token', () => {
  const own = { code: '429', message: 'Requests have exceeded the token rate limit.' }

  test('as a 400 or a 429 in the form of the service', () => {
    for (const status of [400, 429]) {
      assert.equal(refuse(status, own).fromService, true)
      assert.equal(refuse(status, { message: 'x', type: 'invalid_request_error', code: null }).fromService, true)
    }
  })

  test('and in no other status, nor where the set-up is at fault', () => {
    for (const status of [307, 401, 403, 404, 408, 409, 500, 503]) {
      assert.equal(refuse(status, own).fromService, undefined, `${status}`)
    }
    const subdomain = { code: 'BadRequest', message: 'Please provide a custom subdomain for token authentication.' }
    assert.equal(refuse(400, subdomain).fromService, undefined)
  })

  test("and not in a gateway's form", () => {
    for (const other of [
      undefined,
      '<html>',
      { statusCode: 429, message: 'Rate limit is exceeded. Try again in 9 seconds.' },
      { statusCode: 429, message: 'Rate limit is exceeded.', code: '429' },
      { code: '429' },
      { message: 'x' },
    ]) {
      assert.equal(refuse(429, other).fromService, undefined, JSON.stringify(other))
    }
  })
})

describe('what Azure says in a refusal', () => {
  const filtered = {
    code: 'content_filter',
    message: 'canary',
    innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: {} },
  }

  test('is passed on as codes, the inner one behind the outer', () => {
    assert.equal(refuse(400, filtered).code, 'content_filter/ResponsibleAIPolicyViolation')
    assert.equal(refuse(400, { ...filtered, innererror: null }).code, 'content_filter')
    assert.equal(refuse(400, { ...filtered, innererror: {} }).code, 'content_filter')
    assert.equal(refuse(404, { code: 404 }).code, '404')
  })

  test('is the field of the body that is at fault, behind the code', () => {
    const param = (more: object) => refuse(400, { message: 'canary', type: 'invalid_request_error', ...more }).code
    assert.equal(param({ param: 'max_tokens', code: 'unsupported_parameter' }), 'unsupported_parameter: max_tokens')
    assert.equal(param({ param: 'response_format', code: null }), 'invalid_request_error: response_format')
    assert.equal(param({ param: 'input[0].content[1]', code: null }), 'invalid_request_error: input[0].content[1]')
    assert.equal(param({ param: 'messages', code: 'context_length_exceeded' }), 'context_length_exceeded')
    assert.equal(refuse(400, { param: 'tools' }).code, 'param: tools')
  })

  test('is no field whose name may be anything else: a prompt, or a text without end', () => {
    for (const param of ['a canary', 'x'.repeat(101), '', '"x"', 'ü', 7, null, ['max_tokens']]) {
      assert.equal(refuse(400, { param, code: 'unsupported_parameter' }).code, 'unsupported_parameter')
    }
  })

  test('is read where another field of it has another form', () => {
    const odd = { code: 'content_filter', message: 7, innererror: 'canary', param: {}, type: [] }
    assert.equal(refuse(400, odd).code, 'content_filter')
    assert.equal(refuse(400, { ...odd, code: 'x'.repeat(201), type: 'server_error' }).code, 'server_error')
  })

  test('is never quoted, because it may quote the prompt', () => {
    for (const status of [400, 401, 403, 404, 418, 429, 500]) {
      assert.doesNotMatch(JSON.stringify(refuse(status, filtered)), /canary/)
    }
  })

  for (const error of [undefined, null, 'canary', 7, [], { code: {} }, { innererror: 'canary' }]) {
    test(`may be of no known form: ${JSON.stringify(error)}`, () => {
      assert.deepEqual(refuse(400, error), {
        kind: 'rejected',
        httpStatus: 400,
        message: 'Azure OpenAI refused the content of the request',
      })
    })
  }
})

describe('how to fix it', () => {
  for (const [status, code, hint] of [
    [400, 'content_filter', /content filter/],
    [400, 'context_length_exceeded', /Split the document/],
    [404, 'DeploymentNotFound', /Create the deployment/],
    [404, undefined, /OPENAI_API_VERSION.*the endpoint's address/],
    [404, 'previous_response_not_found', /previous_response_id.*replay/],
    [404, '404', /OPENAI_API_VERSION/],
    [400, 'OperationNotSupported', /Name another model/],
  ] as const) {
    test(`is given for ${status} ${code}`, () => {
      assert.match(refuse(status, { code }).hint ?? '', hint)
    })
  }

  for (const message of [
    'Azure OpenAI Responses API is enabled only for api-version 2025-03-01-preview and later',
    'API version not supported',
    'Prediction is enabled only for api versions 2025-01-01-preview and later',
  ]) {
    test(`is the version's where a bad request is one for it: ${message}`, () => {
      const { kind, hint } = refuse(400, { code: 'BadRequest', message })
      assert.equal(kind, 'rejected')
      assert.match(hint ?? '', /OPENAI_API_VERSION/)
    })
  }

  test("is not the version's where an error names it only in passing", () => {
    const message = 'Requests to the ChatCompletions_Create Operation under Azure OpenAI API version v1 have exceeded'
    assert.equal(refuse(429, { code: '429', message }).hint, undefined)
    assert.equal(refuse(400, { code: 'BadRequest', message: 'Unsupported data type' }).hint, undefined)
  })

  test('of an address that is not found speaks of the version and the endpoint, and of no deployment', () => {
    const message = 'Invalid URL (POST /v1/responses)'
    const failure = refuse(404, { message, type: 'invalid_request_error', param: null, code: null })
    assert.equal(failure.kind, 'no_deployment')
    assert.match(failure.hint ?? '', /OPENAI_API_VERSION.*endpoint's address/)
    assert.doesNotMatch(`${failure.message} ${failure.hint}`, /deployment/)
  })

  const [type, unfound] = ['invalid_request_error', 'previous_response_not_found']
  for (const [what, error] of [
    ['an earlier response', { message: "'resp_x' not found.", param: 'previous_response_id', code: unfound }],
    ['an item', { message: "Item with id 'rs_x' not found.", type, param: 'input', code: null }],
    ['a file', { message: 'No such File object: file-x', type, param: 'file_id', code: null }],
  ] as const) {
    test(`of a 404 about ${what} says no word of a deployment: the request is rejected`, () => {
      const failure = refuse(404, error)
      assert.equal(failure.kind, 'rejected')
      assert.doesNotMatch(JSON.stringify(failure), /deployment|resp_x|rs_x|file-x/)
    })
  }

  test('of a 404 that names the model is still the deployment', () => {
    const error = { message: 'x', type: 'invalid_request_error', param: 'model', code: 'model_not_found' }
    assert.equal(refuse(404, error).kind, 'no_deployment')
  })

  test('of max_tokens is to rename it', () => {
    const error = { message: 'x', param: 'max_tokens', code: 'unsupported_parameter' }
    assert.match(refuse(400, error).hint ?? '', /max_completion_tokens in place of max_tokens/)
    assert.equal(refuse(400, { ...error, param: 'temperature' }).hint, undefined)
  })

  test('is not made up where there is none', () => {
    assert.equal(refuse(400, { code: 'something_new' }).hint, undefined)
    assert.equal(refuse(400, { code: 'toString' }).hint, undefined)
  })
})

describe('the ids of a refusal', () => {
  test("are Azure's own before the gateway's", () => {
    assert.equal(refuse(500, null, { 'apim-request-id': 'a', 'x-request-id': 'x' }).requestId, 'a')
    assert.equal(refuse(500, null, { 'x-request-id': 'x' }).requestId, 'x')
    assert.equal(refuse(500).requestId, undefined)
  })
})

describe('the time to wait', () => {
  const table: readonly (readonly [Record<string, string>, number | undefined])[] = [
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 250],
    [{ 'retry-after-ms': '0' }, 0],
    [{ 'retry-after': '7' }, 7_000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after-ms': '-1', 'retry-after': '2' }, 2_000],
    [{ 'retry-after-ms': 'soon', 'retry-after': '2' }, 2_000],
    [{ 'retry-after-ms': '', 'retry-after': '2' }, 2_000],
    [{ 'retry-after-ms': '-1' }, undefined],
    [{ 'retry-after': '-1' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{ 'x-ms-retry-after-ms': '6000' }, 6_000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 06:00:06 GMT' }, 6_000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 06:00:06 GMT', date: 'Tue, 24 Nov 2026 06:00:02 GMT' }, 4_000],
    [{}, undefined],
  ]
  for (const [headers, ms] of table) {
    test(`for ${JSON.stringify(headers)} is ${ms === undefined ? 'left open' : `${ms} ms`}`, () => {
      for (const status of [429, 503, 403, 500]) assert.equal(refuse(status, undefined, headers).retryAfterMs, ms)
    })
  }
})
