import assert from 'node:assert/strict'
import { test } from 'node:test'
import { breakRule, typeCheckPatches } from './break-rule.ts'
import { rules } from './rules.ts'

/**
 * A seed that showed the breach of a rule that few histories breach. The search starts there and goes on, so that a change of
 * the code which moves the breach costs time and no proof.
 */
const firstSeeds: Readonly<Record<string, number>> = {
  'publish-before-complete': 54,
  'stale-owner': 91,
  'timeout-twice': 186,
  'whole-model-time': 194,
  'answer-over-swept-record': 345,
  'unavailable-is-folded': 356,
  'deadline-after-admission': 488,
  'parts-before-settle': 512,
  'wait-for-one-deployment': 878,
  'record-for-the-unseen': 1927,
}

test('simulation: the source type-checks with each patch that breaks a rule', async () => {
  assert.equal(await typeCheckPatches(), '')
})

for (const name of Object.keys(rules)) {
  test(`simulation: the rule "${name}" is missed when it is gone`, async () => {
    assert.equal(await breakRule(name, { from: firstSeeds[name] ?? 1, seeds: 10_000 }), 3)
  })
}
