import assert from 'node:assert/strict'
import { test } from 'node:test'
import { estimateTokens, estimateUsage } from '../../shared/job/job.ts'

const body = { messages: [{ role: 'user', content: 'Twelve chars' }], max_completion_tokens: 50 }

test('an estimated usage is a quarter of the characters of the prompt, rounded up, and the output cap', () => {
  assert.deepEqual(estimateUsage(body, 4_000), { promptTokens: 4, completionTokens: 50 })
  assert.deepEqual(estimateUsage({ input: ['Twelve chars', null, 7] }, 0), { promptTokens: 3, completionTokens: 0 })
})

test('an estimated usage without an output cap is a quarter of the characters of the answer, rounded up', () => {
  assert.deepEqual(estimateUsage({ input: '' }, 9), { promptTokens: 0, completionTokens: 3 })
})

test('an estimated usage of several choices has the output cap of each', () => {
  assert.deepEqual(estimateUsage({ ...body, n: 3 }, 4_000), { promptTokens: 4, completionTokens: 150 })
})

test('the tokens of a request are estimated before it is sent, with no end of an answer that has no cap', () => {
  assert.deepEqual(estimateTokens({ ...body, n: 3 }), { promptTokens: 4, maxCompletionTokens: 150 })
  assert.deepEqual(estimateTokens({ input: 'Twelve chars' }), { promptTokens: 3, maxCompletionTokens: undefined })
})

test('an embedded image counts as about 1,000 tokens, however long its text is', () => {
  assert.equal(estimateTokens({ input: `data:image/png;base64,${'A'.repeat(1_000_000)}` }).promptTokens, 1_000)
})
