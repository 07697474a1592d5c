import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRandom } from '../support/seeded-random.ts'
import { DUPLICATES, otherFaults, processFaults, UPGRADE } from './faults.ts'
import { countKinds, makePlan, nameOf } from './plan.ts'

const request = { seed: 7, durationMs: 120_000, workers: 2, store: 'emulators' } as const

describe('the plan of a chaos run', () => {
  test('follows from its seed', () => {
    assert.deepEqual(makePlan(request), makePlan(request))
    assert.notDeepEqual(makePlan(request), makePlan({ ...request, seed: 8 }))
  })

  for (const store of ['sqlite', 'emulators'] as const) {
    test(`has every kind of fault of ${store} once at least, however short it is`, () => {
      const made = [...processFaults(), ...otherFaults(store)].map(({ make }) => make(createRandom(1)))
      const kinds = [DUPLICATES, UPGRADE, ...made].map(nameOf)
      const planned = countKinds(makePlan({ ...request, store, durationMs: 5_000 }))
      assert.deepEqual([...planned.keys()].toSorted(), kinds.toSorted())
    })
  }

  test('is in order of time, and leaves the last faults time to strike', () => {
    const times = makePlan(request).map(({ atMs }) => atMs)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    assert.ok((times.at(-1) ?? 0) <= 0.9 * request.durationMs)
  })

  test('names each fault once', () => {
    const names = makePlan(request).map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
  })

  test('kills, drains and stops every worker', () => {
    const plan = makePlan({ ...request, durationMs: 600_000 })
    for (const worker of [0, 1]) {
      const kinds = plan.filter((each) => each.fault.on === 'worker' && each.worker === worker)
      const done = new Set(kinds.map(({ fault }) => fault.kind))
      assert.ok(['kill', 'drain', 'stop'].every((kind) => done.has(kind)))
    }
  })

  test('has more of everything the longer it lasts', () => {
    const short = countKinds(makePlan({ ...request, durationMs: 60_000 }))
    const long = countKinds(makePlan({ ...request, durationMs: 600_000 }))
    for (const [kind, count] of short) {
      assert.ok([DUPLICATES, UPGRADE].map(nameOf).includes(kind) || (long.get(kind) ?? 0) > count, kind)
    }
  })
})

test('seeded randomness stays in [0, 1) and does not repeat itself', () => {
  const random = createRandom(1)
  const drawn = Array.from({ length: 1_000 }, random.next)
  assert.ok(drawn.every((value) => value >= 0 && value < 1))
  assert.equal(new Set(drawn).size, drawn.length)
})
