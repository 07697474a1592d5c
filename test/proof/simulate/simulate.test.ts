import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { applyPatch } from './break-rule.ts'
import { addTo, belowFloor, type Exercised, situations } from './exercised.ts'
import { invariants } from './invariants.ts'
import { createLiveness, ENDS_WITHIN_MS } from './liveness.ts'
import { rules } from './rules.ts'
import { runSeed } from './run-seed.ts'

const ROOT = join(import.meta.dirname, '../../..')
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
  test(`finds that every invariant holds in ${SEEDS} histories with crashes, takeovers, lost replies and unknown outcomes`, async () => {
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
  for (const [name, { patches }] of Object.entries(rules)) {
    test(`"${name}" stands in the product exactly once`, () => {
      for (const patch of patches) {
        const source = readFileSync(join(ROOT, patch.file), 'utf8')
        const patched = applyPatch(source, patch)
        assert.ok(patched !== undefined && patched !== source, `${patch.file}: ${patch.find}`)
      }
    })
  }

  test('is listed in docs/reliability.md, and no other', () => {
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

test('every invariant is listed in docs/reliability.md, and no other', () => {
  assert.deepEqual(namesBelow('What must hold'), Object.keys(invariants))
})

describe('what a simulation has to meet', () => {
  test('is below its floor when it was met less often in as many histories', () => {
    const met: Exercised = new Map(situations.map((situation) => [situation, 1_000_000]))
    assert.deepEqual(belowFloor(met, 1_000), [])
    met.set('freeze', 10)
    assert.deepEqual(
      belowFloor(met, 100).map(({ situation, met }) => [situation, met]),
      [['freeze', 10]],
    )
  })

  test('has a floor of at least one in 1,000 histories', () => {
    assert.deepEqual(
      belowFloor(new Map(), 1_000).map(({ situation }) => situation),
      situations,
    )
  })
})

describe('the time that a job takes to end', () => {
  const message = { key: 'a', hash: 'h', run: 1, model: undefined }
  const letter = { run: 1, reason: 'max_age', data: { sha256: 'h' } }

  function aLiveness(overAt: number) {
    const clock = { now: 0 }
    const late: string[] = []
    return {
      clock,
      late,
      liveness: createLiveness(
        () => clock.now,
        () => overAt,
        (what) => late.push(what),
      ),
    }
  }

  test('begins when nothing fails any more, or with its publish', () => {
    const { clock, liveness } = aLiveness(60_000)
    liveness.published(message)
    clock.now = 90_000
    liveness.published({ ...message, run: 2 })
    clock.now = 100_000
    liveness.lettered(letter)
    assert.equal(liveness.longestMs(), 40_000)
    liveness.lettered({ ...letter, run: 2 })
    assert.equal(liveness.longestMs(), 40_000)
  })

  test('is too long from the first millisecond after the bound on', () => {
    for (const moreMs of [0, 1]) {
      const { clock, late, liveness } = aLiveness(0)
      liveness.published(message)
      clock.now = ENDS_WITHIN_MS + moreMs
      liveness.lettered(letter)
      assert.equal(late.length, moreMs)
    }
  })
})
