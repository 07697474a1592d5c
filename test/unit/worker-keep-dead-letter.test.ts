import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { openSqliteDeadLetters } from '../../shared/stores/sqlite/sqlite-dead-letters.ts'
import { keepDeadLetter, type LetterKeeping } from '../../worker/dead-letters/keep.ts'
import { DAY_MS, START } from '../support/job-builders.ts'

const job = Buffer.from('{"id":"doc-7","prompt":"Summarise: …","model":"gpt-4o"}')
const cause = { reason: 'rejected', message: 'refused', code: 'content_filter', hint: 'Change it.' }

async function kept(message: Message, details = cause) {
  const letters = await openSqliteDeadLetters(':memory:')
  try {
    const parsed = parseJob(message.data, message.attributes, sha256)
    const known = parsed.ok ? [parsed.job] : []
    return await keepDeadLetter({ letters, ttlMs: DAY_MS, now: () => START }, message, details, ...known)
  } finally {
    letters.close()
  }
}

describe('a dead letter', () => {
  test('has its job, its reason and the time until which it is kept', async () => {
    const attributes = { batch: 'nightly', 'pb-run': '2' }
    const letter = await kept({ data: job, attributes })
    assert.equal(letter.id, `${letter.key}:2`)
    assert.partialDeepStrictEqual(letter, {
      ...{ jobId: 'doc-7', batch: 'nightly', run: 2, model: 'gpt-4o', attributes },
      ...cause,
      ...{ firstAt: START, expireAt: START + DAY_MS },
    })
  })

  test('of what is no job has the batch and the run of its attributes', async () => {
    const details = await kept({ data: Buffer.from('no job'), attributes: { batch: 'nightly', 'pb-run': '3' } })
    assert.deepEqual([details.key, details.batch, details.run], [undefined, 'nightly', 3])
    for (const run of ['0', '-1', '1e9', '1000000', 'x', '']) {
      assert.equal((await kept({ data: Buffer.from('no job'), attributes: { 'pb-run': run } })).run, 1, run)
    }
  })

  test('keeps no more of foreign attributes than Pub/Sub allows, and cuts through no character', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`a${n}`, '']))
    const attributes = { [`${'x'.repeat(255)}é`]: `${'y'.repeat(1_023)}é`, '\ud800': '\udfff', ...many }
    const long = '€'.repeat(1_000)
    const letter = await kept({ data: job, attributes }, { reason: long, message: long, code: long, hint: long })
    const names = Object.keys(letter.attributes)
    assert.equal(names.length, 100)
    assert.equal(letter.attributes['x'.repeat(255)], 'y'.repeat(1_023))
    assert.ok(names.every((name) => name.isWellFormed()))
    const cut = '€'.repeat(341)
    assert.deepEqual([letter.reason, letter.message, letter.code, letter.hint], [cut, cut, cut, cut])
  })

  test('that the store refuses is kept without its details', async () => {
    const letters = await openSqliteDeadLetters(':memory:')
    const picky: LetterKeeping['letters'] = {
      async put(letter, data) {
        if (Object.keys(letter.attributes).length > 0) throw new StoreError('refused', 'not this one')
        return letters.put(letter, data)
      },
    }
    const keeping = { letters: picky, ttlMs: DAY_MS, now: () => START }
    const letter = await keepDeadLetter(keeping, { data: job, attributes: { batch: 'x' } }, cause)
    assert.deepEqual([letter.reason, letter.key, letter.attributes], ['rejected', undefined, {}])
    assert.deepEqual(Buffer.from(await letters.readData(letter)), job)
    letters.close()
  })

  test('is not kept while the store is unavailable, and the result says so', async () => {
    const letters = await openSqliteDeadLetters(':memory:')
    letters.close()
    const keeping = { letters, ttlMs: DAY_MS, now: () => START }
    const away = (error: unknown) => error instanceof StoreError && error.code === 'unavailable'
    await assert.rejects(keepDeadLetter(keeping, { data: job, attributes: {} }, cause), away)
  })
})
