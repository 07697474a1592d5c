import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isUnfinished, storedBatch, type UnfinishedBatch } from '../../shared/stores/batch-store.ts'
import { activeAt, judgeBatch } from '../../worker/sweep/judge-batch.ts'
import { DAY_MS, START } from '../support/job-builders.ts'

const MAX_AGE_MS = 7 * DAY_MS
/** So long after its seal no message of a batch is left. */
const OVER_MS = MAX_AGE_MS + DAY_MS

function aBatch(over: object): UnfinishedBatch {
  const batch = storedBatch.parse({ name: 'nightly', createdAt: START, ...over })
  assert.ok(isUnfinished(batch))
  return batch
}

const at = (now: number) => ({ now, maxJobAgeMs: MAX_AGE_MS })

describe('a sealed batch', () => {
  const sealed = aBatch({ total: 3, sealedAt: START + DAY_MS })

  test('is completed when every job of it is settled, however it ended', () => {
    const counts = { succeeded: 1, dead_lettered: 1, cancelled: 1 }
    assert.deepEqual(judgeBatch(sealed, counts, at(START)), { as: 'completed', total: 3 })
  })

  test('is completed rather than incomplete, however old it is', () => {
    assert.deepEqual(judgeBatch(sealed, { succeeded: 3 }, at(START + 99 * DAY_MS)), { as: 'completed', total: 3 })
  })

  test('is incomplete a day after its last message is too old, at the very millisecond', () => {
    const over = START + DAY_MS + OVER_MS
    assert.equal(judgeBatch(sealed, { succeeded: 2 }, at(over - 1)), 'goes_on')
    assert.deepEqual(judgeBatch(sealed, { succeeded: 2 }, at(over)), { as: 'incomplete', total: 3 })
  })

  test('that an older version sealed counts from when it was opened', () => {
    assert.deepEqual(judgeBatch(aBatch({ total: 3 }), {}, at(START + OVER_MS)), { as: 'incomplete', total: 3 })
  })

  test('goes on while a record of it waits or runs, however old it is', () => {
    for (const status of ['waiting', 'running']) {
      assert.equal(judgeBatch(sealed, { succeeded: 2, [status]: 1 }, at(START + 99 * DAY_MS)), 'goes_on')
    }
  })

  test('of which no time can be read goes on', () => {
    assert.equal(judgeBatch(aBatch({ createdAt: 'yesterday', total: 3 }), {}, at(START)), 'goes_on')
  })
})

describe('an open batch', () => {
  const open = aBatch({ tokenLimit: 5, counts: { succeeded: 2 }, sweptAt: START, activeAt: START })

  test('is left out when nothing has happened in it for as long, at the very millisecond', () => {
    assert.equal(judgeBatch(open, { succeeded: 2 }, at(START + OVER_MS - 1)), 'goes_on')
    assert.equal(judgeBatch(open, { succeeded: 2 }, at(START + OVER_MS)), 'left_out')
  })

  test('goes on when a job of it was settled since, or is under way', () => {
    assert.equal(judgeBatch(open, { succeeded: 3 }, at(START + OVER_MS)), 'goes_on')
    const running = { succeeded: 2, running: 1 }
    assert.equal(judgeBatch({ ...open, counts: running }, running, at(START + OVER_MS)), 'goes_on')
  })

  test('that an older version counted is active now', () => {
    const { activeAt: _, ...older } = open
    assert.equal(activeAt(older, { succeeded: 2 }, START + OVER_MS), START + OVER_MS)
  })
})
