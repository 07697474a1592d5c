import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AZURE_ERRORS } from '../../local/fixtures/azure-errors.ts'
import type { LimitKind } from '../../shared/job/failures.ts'
import { findLowered } from '../../shared/models/azure-openai/read-limit.ts'
import { readRefusal } from '../../shared/models/azure-openai/read-refusal.ts'

interface Case {
  readonly what: string
  readonly error?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly limit: LimitKind
}

const usedUp = AZURE_ERRORS.token_rate_limit.body.error
const peak = AZURE_ERRORS.peak_load.body.error
/** https://github.com/openai/openai-python/issues/2084 */
const enqueued = {
  code: 'token_limit_exceeded',
  message: 'Enqueued token limit reached for gpt-4o-mini in organization org-x. Limit: 2,000,000 enqueued tokens.',
}
/** https://github.com/Azure/azure-openai-benchmark reads this header of provisioned deployments. */
const FULL = { 'azure-openai-deployment-utilization': '100.0%', 'retry-after-ms': '312' }
const deployment = { tpm: 100_000, rpm: 600 }

const refuse = ({ error = usedUp, headers = {} }: Omit<Case, 'what' | 'limit'>, of: object = deployment) =>
  readRefusal({ httpStatus: 429, headers: new Headers(headers), error, deployment: of }, 0)

const cases: readonly Case[] = [
  { what: 'the token rate is exceeded', limit: 'quota' },
  { what: 'the call rate is exceeded', error: AZURE_ERRORS.call_rate_limit.body.error, limit: 'quota' },
  { what: 'nothing else is said', error: undefined, limit: 'quota' },
  { what: 'the limit is the configured one', headers: { 'x-ratelimit-limit-tokens': '100000' }, limit: 'quota' },
  { what: 'the limit is unknown to Azure', headers: { 'x-ratelimit-limit-tokens': '-1' }, limit: 'quota' },
  {
    what: 'the limit is 0, which Azure sends for unknown',
    headers: { 'x-ratelimit-limit-tokens': '0' },
    limit: 'quota',
  },
  { what: 'the region is under load', error: peak, limit: 'capacity' },
  {
    what: 'the region is under load and the limit is lowered',
    error: peak,
    headers: { 'x-ratelimit-limit-tokens': '9' },
    limit: 'capacity',
  },
  {
    what: 'fewer tokens are allowed than configured',
    headers: { 'x-ratelimit-limit-tokens': '99999' },
    limit: 'lowered',
  },
  {
    what: 'fewer requests are allowed than configured',
    headers: { 'x-ratelimit-limit-requests': '599' },
    limit: 'lowered',
  },
  { what: 'the deployment is a provisioned one', headers: FULL, limit: 'provisioned' },
  { what: 'batches at Azure hold too many tokens', error: enqueued, limit: 'enqueued' },
]

describe('the limit that a 429 of Azure is about', () => {
  for (const { what, limit, ...said } of cases) {
    test(`is ${limit} where ${what}`, () => assert.equal(refuse(said).limit, limit))
  }

  test('has words of its own, and a hint unless it is the plain quota', () => {
    const said = new Map(cases.map((each) => [each.limit, refuse(each)]))
    assert.equal(new Set([...said.values()].map(({ message }) => message)).size, 5)
    const withoutHint = [...said].filter(([, { hint }]) => hint === undefined).map(([limit]) => limit)
    assert.deepEqual(withoutHint, ['quota'])
  })

  test('has the wait that Azure asks for, and one of its own kind where Azure asks for none', () => {
    assert.equal(refuse({ headers: FULL }).retryAfterMs, 312)
    const waitFor = (error: unknown) => refuse({ error }).retryAfterMs
    assert.deepEqual([usedUp, peak, enqueued].map(waitFor), [undefined, 20_000, 60_000])
  })

  test('is not lowered where nothing is configured', () => {
    assert.equal(refuse({ headers: { 'x-ratelimit-limit-tokens': '1' } }, {}).limit, 'quota')
  })

  test('is said of no other refusal', () => {
    const error = AZURE_ERRORS.peak_load.body.error
    const other = readRefusal({ httpStatus: 503, headers: new Headers(FULL), error, deployment }, 0)
    assert.equal(other.limit, undefined)
  })
})

describe('a limit that Azure has lowered', () => {
  test('is named with the configured one', () => {
    assert.equal(findLowered({ limitTokens: 30_000 }, deployment), '30,000 of 100,000 tokens a minute')
    const both = findLowered({ limitTokens: 30_000, limitRequests: 60 }, deployment)
    assert.equal(both, '30,000 of 100,000 tokens a minute, 60 of 600 requests a minute')
  })

  test('is none where it is the configured one, higher, or unknown', () => {
    for (const rateLimit of [undefined, {}, { limitTokens: 100_000 }, { limitTokens: 1e9, limitRequests: 0 }]) {
      assert.equal(findLowered(rateLimit, deployment), undefined)
    }
  })
})
