import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { adviseOn } from '../../shared/identity/renewal.ts'

const FETCHED = Date.UTC(2026, 10, 24, 6)
const token = { value: 'a token', fetchedAt: FETCHED, expiresAt: FETCHED + 3_600_000 }
const after = (ms: number, of = token) => adviseOn(of, FETCHED + ms)

test('no token is to be replaced', () => {
  assert.equal(adviseOn(undefined, FETCHED), 'replace')
})

test('a token is renewed from the very millisecond at which 80 % of its life are over', () => {
  assert.equal(after(0), 'use')
  assert.equal(after(2_879_999), 'use')
  assert.equal(after(2_880_000), 'renew')
})

test('a token is used to the millisecond at which 30 s are left, and no longer', () => {
  assert.equal(after(3_570_000), 'renew')
  assert.equal(after(3_570_001), 'replace')
  assert.equal(after(3_600_000), 'replace')
  assert.equal(after(9_999_999), 'replace')
})

test('a token that lives for 150 s or less is never renewed early: at 80 % it has 30 s left at most', () => {
  const brief = (ms: number) => after(ms, { ...token, expiresAt: FETCHED + 149_000 })
  assert.equal(brief(119_000), 'use')
  assert.equal(brief(119_001), 'replace')
})

test('the advice never goes back as time goes on', () => {
  const order = ['use', 'renew', 'replace'] as const
  const lives = fc.record({ lifeMs: fc.integer({ min: 1, max: 90_000_000 }), a: fc.nat(), b: fc.nat() })
  fc.assert(
    fc.property(lives, ({ lifeMs, a, b }) => {
      const of = { ...token, expiresAt: FETCHED + lifeMs }
      const [early, late] = [Math.min(a, b), Math.max(a, b)]
      assert.ok(order.indexOf(after(early, of)) <= order.indexOf(after(late, of)))
    }),
  )
})
