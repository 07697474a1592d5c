import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findExcess } from '../../shared/job/json-limits.ts'

/** Values, the names of members, and one more for each list or object that is empty. */
function countIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  const inner = Object.values(value)
  const names = Array.isArray(value) ? 0 : inner.length
  return inner.reduce((sum: number, item) => sum + countIn(item), 1 + names + (inner.length === 0 ? 1 : 0))
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

describe('what a JSON text is made of', () => {
  test('is counted to the last value and level, however the text is spaced', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent)
        const [maxValues, maxDepth] = [countIn(value), depthOf(value)]
        assert.equal(findExcess(text, { maxValues, maxDepth }), undefined)
        if (maxValues > 1) assert.equal(findExcess(text, { maxValues: maxValues - 1, maxDepth }), 'maxValues')
        if (maxDepth > 0) assert.equal(findExcess(text, { maxValues, maxDepth: maxDepth - 1 }), 'maxDepth')
      }),
    )
  })

  test('is looked at no further than the first excess', () => {
    assert.equal(findExcess(`${'['.repeat(3)} no JSON`, { maxValues: 9, maxDepth: 2 }), 'maxDepth')
  })

  test('ends with the text, in a string that does not end too', () => {
    for (const text of ['', '"', '"\\', '["a', '"a\\"']) {
      assert.equal(findExcess(text, { maxValues: 9, maxDepth: 9 }), undefined)
    }
  })
})
