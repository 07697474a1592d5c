import assert from 'node:assert/strict'
import { test } from 'node:test'
import { charge, quotaHeaders } from '../../local/azure-openai/quota.ts'

const quota = { requestsPerMinute: 2, tokensPerMinute: 100, minuteMs: 60_000 }

test('a window starts with the minute, not with the first request', () => {
  assert.equal(charge(undefined, quota, 10, 125_000).window.startedAt, 120_000)
})

test('the tokens of a request may use up the window to the last one', () => {
  assert.equal(charge(undefined, quota, 100, 0).kind, 'granted')
  assert.equal(charge(undefined, quota, 101, 0).kind, 'refused')
})

test('the request after the last one is refused until the very end of the window', () => {
  const full = { startedAt: 0, requests: 2, tokens: 0 }
  assert.deepEqual(charge(full, quota, 1, 59_999), {
    kind: 'refused',
    window: full,
    exceeded: 'requests',
    retryAfterMs: 1,
  })
  assert.equal(charge(full, quota, 1, 60_000).kind, 'granted')
})

test('a refused request is not charged', () => {
  const found = { startedAt: 0, requests: 1, tokens: 90 }
  assert.deepEqual(charge(found, quota, 11, 1).window, found)
})

test('a refusal says in seconds and milliseconds when to retry, rounded up', () => {
  const refused = charge({ startedAt: 0, requests: 2, tokens: 40 }, quota, 1, 57_600)
  assert.deepEqual(quotaHeaders(quota, refused), {
    'x-ratelimit-limit-requests': '2',
    'x-ratelimit-limit-tokens': '100',
    'x-ratelimit-remaining-requests': '0',
    'x-ratelimit-remaining-tokens': '60',
    'retry-after': '3',
    'retry-after-ms': '2400',
  })
})
