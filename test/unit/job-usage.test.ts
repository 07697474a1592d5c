import assert from 'node:assert/strict'
import { test } from 'node:test'
import { estimateUsage } from '../../shared/job/job.ts'

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
