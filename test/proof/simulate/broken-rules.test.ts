import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakRule } from './break-rule.ts'
import { rules } from './rules.ts'

for (const name of Object.keys(rules)) {
  test(`simulation: the rule "${name}" is missed when it is gone`, async () => {
    assert.equal(await breakRule(name, { from: 1, seeds: 10_000 }), 3)
  })
}
