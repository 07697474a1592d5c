import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { MAX_RESULT_BYTES } from '../../shared/stores/result-parts.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import { aClaim, anAnswer, DAY_MS } from '../support/job-builders.ts'

test('the parts of a long answer are written eight at a time, each under its own number', async () => {
  const documents = await openSqliteDocuments(':memory:', () => 0)
  const written: number[] = []
  let underWay = 0
  let most = 0
  const store = createJobStore(
    {
      ...documents,
      async writePart(_key, _owner, n) {
        underWay += 1
        most = Math.max(most, underWay)
        await turn()
        written.push(n)
        underWay -= 1
      },
    },
    DAY_MS,
  )
  const claim = await store.claim(aClaim())
  assert.ok(claim.kind === 'run')
  const settled = await store.settle(claim.held, anAnswer({ result: 'x'.repeat(20 * MAX_RESULT_BYTES + 1) }), 0)
  documents.close()
  assert.equal(most, 8)
  assert.deepEqual(
    written,
    Array.from({ length: 21 }, (_, n) => n),
  )
  assert.ok(settled.kind === 'settled' && settled.record.status === 'succeeded')
  assert.partialDeepStrictEqual(settled.record.result, { in: 'parts', count: 21 })
})
