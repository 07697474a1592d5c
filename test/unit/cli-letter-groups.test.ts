import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inGroups } from '../../cli/dead-letters/chosen-letters.ts'
import { aDeadLetterOf } from '../support/dead-letter-builders.ts'

async function* letters(count: number, bytes: number) {
  for (let n = 0; n < count; n += 1) yield { ...aDeadLetterOf(), id: `a:${n}`, data: { bytes, sha256: '' } }
}

test('dead letters are worked on by at most 100, or 16 MB of data, at once; and one more only when the last are done', async () => {
  const sizes = async (count: number, bytes: number, most?: () => number) =>
    (await Array.fromAsync(inGroups(letters(count, bytes), most))).map(({ length }) => length)
  assert.deepEqual(await sizes(250, 10), [100, 100, 50])
  assert.deepEqual(await sizes(5, 8_000_000), [2, 2, 1])
  assert.deepEqual(await sizes(5, 10, () => 3), [3, 2])
  assert.deepEqual(await sizes(0, 10), [])
  const groups = inGroups(letters(1_000_000, 10))
  await groups.next()
  assert.equal((await groups.next()).value?.at(0)?.id, 'a:100')
})
