import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { applyPatch } from '../simulate/break-rule.ts'
import { addTo, type Exercised } from '../simulate/exercised.ts'
import { invariants } from '../simulate/invariants.ts'
import { rules } from '../simulate/rules.ts'
import { runSeed } from '../simulate/run-seed.ts'

const ROOT = join(import.meta.dirname, '../..')
/** `npm run proof` runs 2,000. */
const SEEDS = 30
const RISKS = ['crash before a call', 'crash after a call', 'takeover', 'lost reply', 'unknown attempt'] as const
const document = readFileSync(join(ROOT, 'docs/reliability.md'), 'utf8')

/** What stands in the first column of the table below a heading. */
function namesBelow(heading: string): readonly string[] {
  const [, section = ''] = document.split(`\n## ${heading}\n`)
  const [body = ''] = section.split('\n## ')
  return [...body.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name = '']) => name)
}

describe('the simulation', () => {
  test(`finds that every invariant holds in ${SEEDS} histories with crashes, takeovers, lost replies and doubts`, async () => {
    const all: Exercised = new Map()
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const { breaches, exercised } = await runSeed(seed)
      assert.deepEqual(breaches, [], `npm run simulate -- --seed ${seed}`)
      addTo(all, exercised)
    }
    for (const situation of RISKS) assert.ok(all.get(situation), situation)
  })

  for (const seed of [3, 9, 47]) {
    test(`makes of seed ${seed} the same history again, to the last line`, async () => {
      const [first, second] = [await runSeed(seed), await runSeed(seed)]
      assert.ok(first.history.length > 100)
      assert.deepEqual(second.history, first.history)
    })
  }

  test('leaves the machine its own time', async () => {
    const before = [setTimeout, clearTimeout, setImmediate, AbortSignal.timeout, Date.now, Math.random]
    await runSeed(1)
    const after = [setTimeout, clearTimeout, setImmediate, AbortSignal.timeout, Date.now, Math.random]
    assert.ok(before.every((each, n) => each === after[n]))
  })
})

describe('each rule that can be broken', () => {
  for (const [name, patch] of Object.entries(rules)) {
    test(`"${name}" stands in the product exactly once`, () => {
      const source = readFileSync(join(ROOT, patch.file), 'utf8')
      assert.notEqual(applyPatch(source, patch) ?? source, source)
    })
  }

  test('is told in docs/reliability.md, and no other', () => {
    assert.deepEqual(namesBelow('Rules that can be broken'), Object.keys(rules))
  })
})

test('a patch that is out of date is no patch', () => {
  const patch = { file: 'x.ts', find: 'a', replace: 'b' }
  assert.deepEqual(
    [applyPatch('-', patch), applyPatch('a-a', patch), applyPatch('-a-', patch)],
    [undefined, undefined, '-b-'],
  )
})

test('every invariant is told in docs/reliability.md, and no other', () => {
  assert.deepEqual(namesBelow('What must hold'), Object.keys(invariants))
})
