import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readRefusal } from '../../shared/azure-openai/read-refusal.ts'
import type { FailureKind } from '../../shared/job/failures.ts'

const refuse = (httpStatus: number, error: unknown = undefined, headers: Record<string, string> = {}) =>
  readRefusal({ httpStatus, headers: new Headers(headers), error })

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
    [408, 'Timeout', 'ambiguous'],
    [429, '429', 'throttled'],
    [500, null, 'ambiguous'],
    [502, undefined, 'ambiguous'],
    [503, undefined, 'ambiguous'],
    [504, undefined, 'ambiguous'],
    [529, undefined, 'ambiguous'],
  ]
  for (const [status, code, kind] of table) {
    test(`for ${status} with the code ${code} is ${kind}`, () => {
      assert.equal(refuse(status, { code, message: 'canary' }).kind, kind)
    })
  }
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

  test('is never quoted, for it may quote the prompt', () => {
    for (const status of [400, 401, 403, 404, 418, 429, 500]) {
      assert.doesNotMatch(JSON.stringify(refuse(status, filtered)), /canary/)
    }
  })

  for (const error of [undefined, null, 'canary', 7, [], { code: {} }, { innererror: 'canary' }]) {
    test(`may be of no known form: ${JSON.stringify(error)}`, () => {
      assert.deepEqual(refuse(400, error), {
        kind: 'rejected',
        httpStatus: 400,
        message: 'Azure OpenAI refused the request for what it says',
      })
    })
  }
})

describe('the mend', () => {
  for (const [status, code, hint] of [
    [400, 'content_filter', /content filter/],
    [400, 'context_length_exceeded', /Split the document/],
    [404, 'DeploymentNotFound', /Create the deployment/],
    [404, undefined, /Create the deployment/],
    [404, '404', /OPENAI_API_VERSION/],
    [400, 'OperationNotSupported', /Name another model/],
  ] as const) {
    test(`is told for ${status} ${code}`, () => {
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
    [{ 'retry-after': 'Tue, 24 Nov 2026 06:00:00 GMT' }, undefined],
    [{}, undefined],
  ]
  for (const [headers, ms] of table) {
    test(`for ${JSON.stringify(headers)} is ${ms === undefined ? 'left open' : `${ms} ms`}`, () => {
      assert.equal(refuse(429, undefined, headers).retryAfterMs, ms)
    })
  }
})
