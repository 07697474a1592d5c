import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakRule } from '../../simulate/break-rule.ts'

for (const name of ['ack-after-settle', 'payload-hash']) {
  test(`the rule "${name}" is missed when it is gone`, async () => {
    assert.equal(await breakRule(name, { from: 1, seeds: 300 }), 3)
  })
}
