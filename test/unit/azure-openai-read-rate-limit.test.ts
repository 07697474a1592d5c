import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRateLimit } from '../../shared/models/azure-openai/read-rate-limit.ts'

const all = {
  'x-ratelimit-limit-requests': '600',
  'x-ratelimit-limit-tokens': '100000',
  'x-ratelimit-remaining-requests': '599',
  'x-ratelimit-remaining-tokens': '0',
}

test('the headers of an answer give the limits of its deployment, and what is left of them', () => {
  const rateLimit = { limitRequests: 600, limitTokens: 100_000, remainingRequests: 599, remainingTokens: 0 }
  assert.deepEqual(readRateLimit(new Headers(all)), rateLimit)
})

for (const value of ['-1', '', '1.5', 'many', '1'.repeat(13)]) {
  test(`a limit of "${value}" is unknown, and the others are read`, () => {
    const headers = new Headers({ ...all, 'x-ratelimit-remaining-tokens': value })
    assert.deepEqual(readRateLimit(headers), { limitRequests: 600, limitTokens: 100_000, remainingRequests: 599 })
  })
}

test('an answer without these headers says nothing about its quota', () => {
  assert.equal(readRateLimit(new Headers({ 'retry-after': '5' })), undefined)
})
