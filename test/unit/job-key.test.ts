import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { jobKey } from '../../shared/job/job.ts'
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

test('the separator of batch and id can occur in neither', () => {
  assert.notEqual(jobKey('a', 'bc', sha256), jobKey('ab', 'c', sha256))
  assert.notEqual(jobKey('a', 'b\0c', sha256), jobKey('a', 'bc', sha256))
})
