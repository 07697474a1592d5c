import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { jobKey, outputTokenCap } from '../../shared/job/job.ts'
import { sha256 } from '../support/job-builders.ts'

test('a job’s key is base64url of the first 16 bytes of SHA-256 over batch, NUL and id', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (batch, id) => {
      const expected = Buffer.from(sha256(`${batch}\0${id}`)).subarray(0, 16)
      assert.equal(jobKey(batch, id, sha256), expected.toString('base64url'))
      assert.match(jobKey(batch, id, sha256), /^[A-Za-z0-9_-]{22}$/)
    }),
  )
})

test('the same id is another job in another batch, and without one', () => {
  const keys = [jobKey('', 'doc-7', sha256), jobKey('a', 'doc-7', sha256), jobKey('b', 'doc-7', sha256)]
  assert.equal(new Set(keys).size, 3)
})

test('what parts batch from id stands in neither by chance', () => {
  assert.notEqual(jobKey('a', 'bc', sha256), jobKey('ab', 'c', sha256))
  assert.notEqual(jobKey('a', 'b\0c', sha256), jobKey('a', 'bc', sha256))
})

test('the cap on the answer is the larger of its two names, for either may be the one the model honours', () => {
  assert.equal(outputTokenCap({ max_tokens: 10 }), 10)
  assert.equal(outputTokenCap({ max_completion_tokens: 20 }), 20)
  assert.equal(outputTokenCap({ max_output_tokens: 40 }), 40)
  assert.equal(outputTokenCap({ max_tokens: 10, max_completion_tokens: 20 }), 20)
  assert.equal(outputTokenCap({ max_tokens: 30, max_completion_tokens: 20 }), 30)
})

test('a body that names no number leaves the cap to the model', () => {
  assert.equal(outputTokenCap({}), undefined)
  assert.equal(outputTokenCap({ max_tokens: null, max_completion_tokens: '20' }), undefined)
})

test('a cap of nothing is a cap, one below nothing is none', () => {
  assert.equal(outputTokenCap({ max_tokens: 0 }), 0)
  assert.equal(outputTokenCap({ max_tokens: -1 }), undefined)
  assert.equal(outputTokenCap({ max_tokens: -1_000_000, max_completion_tokens: 20 }), 20)
})
