import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakRule, typeCheckPatches } from './break-rule.ts'
import { rules } from './rules.ts'

test('simulation: the source type-checks with each patch that breaks a rule', async () => {
  assert.equal(await typeCheckPatches(), '')
})

for (const name of Object.keys(rules)) {
  test(`simulation: the rule "${name}" is missed when it is gone`, async () => {
    assert.equal(await breakRule(name, { from: 1, seeds: 10_000 }), 3)
  })
}
