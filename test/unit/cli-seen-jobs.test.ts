import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeenJobs } from '../../cli/submit/seen-jobs.ts'
import { jobKey } from '../../shared/job/job.ts'
import { sha256 } from '../support/job-builders.ts'

const aJob = (id: string, data = id) => ({
  key: jobKey('', id, sha256),
  payloadHash: Buffer.from(sha256(data)).toString('hex'),
})

test('a job is seen once; again it is the same, or one with other data, and its first line is known', () => {
  const seen = createSeenJobs()
  assert.equal(seen.add(aJob('a', 'x'), 1), undefined)
  assert.equal(seen.add(aJob('b', 'x'), 2), undefined)
  assert.deepEqual(seen.add(aJob('a', 'x'), 3), { line: 1, isSame: true })
  assert.deepEqual(seen.add(aJob('a', 'y'), 4), { line: 1, isSame: false })
  assert.deepEqual(seen.add(aJob('b', 'x'), 4_294_967_295), { line: 2, isSame: true })
})

test('20,000 jobs are each remembered with their own line and data', () => {
  const seen = createSeenJobs()
  const jobs = Array.from({ length: 20_000 }, (_, n) => aJob(`doc-${n}`))
  assert.ok(jobs.every((job, n) => seen.add(job, n + 1) === undefined))
  for (const [n, job] of jobs.entries()) assert.deepEqual(seen.add(job, 9), { line: n + 1, isSame: true })
  assert.deepEqual(seen.add(aJob('doc-7', 'other'), 9), { line: 8, isSame: false })
})

test('keys that fall into one place are kept apart', () => {
  const keyOf = (...bytes: number[]) => Buffer.concat([Buffer.from(bytes), Buffer.alloc(16 - bytes.length)])
  const keys = [keyOf(1), keyOf(1, 0, 0, 0, 64), keyOf(1, 0, 0, 0, 0, 1), keyOf(2)]
  const seen = createSeenJobs()
  const jobs = keys.map((key) => ({ key: key.toString('base64url'), payloadHash: '00'.repeat(32) }))
  for (const [n, job] of jobs.entries()) assert.equal(seen.add(job, n + 1), undefined)
  for (const [n, job] of jobs.entries()) assert.deepEqual(seen.add(job, 9), { line: n + 1, isSame: true })
})
