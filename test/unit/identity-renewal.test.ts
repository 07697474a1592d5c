import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  ABANDON_FETCH_AFTER_MS,
  type AccessToken,
  backoffMs,
  decide,
  type FailedAttempt,
  isRefusedEverywhere,
  onAccepted,
  onFetchBegun,
  onFetched,
  onFetchFailed,
  onRefused,
  refusesTokens,
  type TokenState,
  validForMs,
} from '../../shared/identity/renewal.ts'

const START = Date.UTC(2026, 10, 24, 6)
const LIFE_MS = 3_600_000
const aToken = (value = 'first', fetchedAt = START, lifeMs = LIFE_MS): AccessToken => ({
  value,
  fetchedAt,
  expiresAt: fetchedAt + lifeMs,
})
const holding = (token = aToken()): TokenState => ({ token })
const kindAfter = (ms: number, state: TokenState = holding()) => decide(state, START + ms).kind
const aFailedAttempt = (over: Partial<FailedAttempt> = {}): FailedAttempt => ({ nature: 'passing', jitter: 1, ...over })
const failing = (over: Partial<FailedAttempt> = {}, state: TokenState = {}, at = START) =>
  onFetchFailed(state, aFailedAttempt(over), at)

describe('who wants a token', () => {
  test('fetches the first', () => {
    assert.deepEqual(decide({}, START), { kind: 'fetch' })
  })

  test('joins the fetch that is under way', () => {
    assert.deepEqual(decide(onFetchBegun({}, START), START), { kind: 'join' })
  })

  test('renews it from the very millisecond at which 80 % of its life are over', () => {
    assert.equal(kindAfter(0), 'use')
    assert.equal(kindAfter(2_879_999), 'use')
    assert.equal(kindAfter(2_880_000), 'renew')
  })

  test('uses it while another renews it', () => {
    assert.equal(kindAfter(2_880_001, onFetchBegun(holding(), START + 2_880_000)), 'use')
  })

  test('uses it to the millisecond at which 30 s are left, and no longer', () => {
    assert.equal(kindAfter(3_570_000), 'renew')
    assert.equal(kindAfter(3_570_001), 'fetch')
    assert.equal(kindAfter(9_999_999), 'fetch')
  })

  test('never renews a token early that lives for 150 s or less: at 80 % it has 30 s left at most', () => {
    const brief = holding(aToken('brief', START, 149_000))
    assert.equal(kindAfter(119_000, brief), 'use')
    assert.equal(kindAfter(119_001, brief), 'fetch')
  })

  test('abandons a fetch at the very millisecond at which it is 12 s old', () => {
    const state = onFetchBegun({}, START)
    assert.equal(kindAfter(ABANDON_FETCH_AFTER_MS - 1, state), 'join')
    assert.equal(kindAfter(ABANDON_FETCH_AFTER_MS, state), 'fetch')
  })

  test('carries a new renewal when the last one is 12 s old', () => {
    const state = onFetchBegun(holding(), START + 2_880_000)
    assert.equal(kindAfter(2_880_000 + ABANDON_FETCH_AFTER_MS - 1, state), 'use')
    assert.equal(kindAfter(2_880_000 + ABANDON_FETCH_AFTER_MS, state), 'renew')
  })

  test('never goes back from fetching to using as time goes on', () => {
    const order = ['use', 'renew', 'fetch']
    const times = fc.record({ lifeMs: fc.integer({ min: 1, max: 90_000_000 }), a: fc.nat(), b: fc.nat() })
    fc.assert(
      fc.property(times, ({ lifeMs, a, b }) => {
        const state = holding(aToken('any', START, lifeMs))
        const [early, late] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(order.indexOf(kindAfter(early, state)) <= order.indexOf(kindAfter(late, state)))
      }),
    )
  })
})

describe('after a failure', () => {
  test('the next try is due at the very millisecond that the jitter chose', () => {
    const state = failing({ jitter: 0.5 })
    assert.deepEqual(decide(state, START + 499), { kind: 'wait', forMs: 1 })
    assert.deepEqual(decide(state, START + 500), { kind: 'fetch' })
  })

  test('a token that is still good is used, and its renewal waits for the next try', () => {
    const state = failing({}, holding(), START + 2_880_000)
    assert.equal(kindAfter(2_880_999, state), 'use')
    assert.equal(kindAfter(2_881_000, state), 'renew')
  })

  test('that is passing, the limit of the wait doubles from 1 s to 10 s', () => {
    const waits = [0, 1, 2, 3, 4, 50].map((n) => backoffMs('passing', n, 1))
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  })

  test('of configuration, the limit of the wait doubles from 60 s to 5 min', () => {
    const waits = [0, 1, 2, 3, 50].map((n) => backoffMs('configuration', n, 1))
    assert.deepEqual(waits, [60_000, 120_000, 240_000, 300_000, 300_000])
  })

  test('any wait up to the limit may come, so that instances part', () => {
    const times = [0, 0.25, 1].map((jitter) => failing({ jitter }).outage?.nextTryAt)
    assert.deepEqual(times, [START, START + 250, START + 1_000])
  })

  test('what the service asks wins over the backoff, up to 5 min', () => {
    assert.equal(failing({ retryAfterMs: 7_000, jitter: 0 }).outage?.nextTryAt, START + 7_000)
    assert.equal(failing({ retryAfterMs: 3_600_000, jitter: 0 }).outage?.nextTryAt, START + 300_000)
  })

  test('instances that were asked to wait equally long come back over a fifth more, none of them earlier', () => {
    const times = [0, 0.5, 1].map((jitter) => failing({ retryAfterMs: 100_000, jitter }).outage?.nextTryAt)
    assert.deepEqual(times, [START + 100_000, START + 110_000, START + 120_000])
  })

  test('the outage remembers its first failure and counts them', () => {
    const second = failing({}, failing(), START + 5_000).outage
    assert.partialDeepStrictEqual(second, { firstAt: START, failures: 2, nextTryAt: START + 7_000 })
  })

  test('of another kind, the wait starts from the shortest again', () => {
    const { outage } = failing({ nature: 'configuration' }, failing({}, failing()), START)
    assert.deepEqual([outage?.kind, outage?.failures, outage?.nextTryAt], ['configuration', 1, START + 60_000])
  })

  test('that may be a setting on its way is passing for ten minutes, and then configuration', () => {
    const first = failing({ nature: 'spreading' })
    const kindAt = (ms: number) => failing({ nature: 'spreading' }, first, START + ms).outage?.kind
    assert.deepEqual([first.outage?.kind, kindAt(599_999), kindAt(600_000)], ['passing', 'passing', 'configuration'])
  })

  test('a stale assertion that a fresh one did not fix is configuration', () => {
    assert.equal(failing({ nature: 'stale' }).outage?.kind, 'configuration')
  })

  test('a token that comes ends the outage', () => {
    assert.deepEqual(onFetched(failing(), aToken()), { token: aToken() })
  })
})

/** Two resources. */
const A = 'https://contoso.openai.azure.com'
const B = 'https://fabrikam.openai.azure.com'

describe('a token that a resource refuses', () => {
  const first = aToken()
  const second = aToken('second')
  const refusedOnce = onRefused(holding(), first, A)
  const replaced = onFetched(onFetchBegun(refusedOnce, START), second)
  const refusedTwice = onRefused(replaced, second, A)

  test('is dropped, and replaced at once', () => {
    assert.deepEqual(decide(refusedOnce, START), { kind: 'fetch' })
    assert.equal(refusesTokens(refusedOnce, A), false)
  })

  test('is dropped once, however many requests saw it refused', () => {
    assert.equal(onRefused(refusedOnce, first, A), refusedOnce)
    assert.equal(onRefused(replaced, first, A), replaced)
  })

  test('is kept where it is the second in a row: the resource is at fault, and the others go on with the token', () => {
    assert.deepEqual(decide(refusedTwice, START), { kind: 'use', token: second })
    assert.deepEqual([refusesTokens(refusedTwice, A), refusesTokens(refusedTwice, B)], [true, false])
  })

  test('by a resource at fault drops no later one either, until that resource accepts one', () => {
    const third = aToken('third')
    const refusedAgain = onRefused(onFetched(refusedTwice, third), third, A)
    assert.deepEqual(decide(refusedAgain, START), { kind: 'use', token: third })
    const accepted = onAccepted(refusedAgain, third, A)
    assert.equal(refusesTokens(accepted, A), false)
    assert.deepEqual(decide(onRefused(accepted, third, A), START), { kind: 'fetch' })
  })

  test('is kept where another resource accepted that very token', () => {
    const state = onRefused(onAccepted(holding(), first, B), first, A)
    assert.deepEqual(decide(state, START), { kind: 'use', token: first })
    assert.equal(refusesTokens(onRefused(state, first, A), A), true)
  })

  test('is dropped where another resource accepted only its predecessor', () => {
    const state = onFetched(onAccepted(holding(), first, B), second)
    assert.deepEqual(decide(onRefused(state, second, A), START), { kind: 'fetch' })
  })

  test('is dropped where the other resource refuses by now what it had accepted: it was revoked', () => {
    const accepted = onAccepted(onAccepted(holding(), first, A), first, B)
    const state = onRefused(accepted, first, B)
    assert.deepEqual(decide(state, START), { kind: 'use', token: first })
    assert.deepEqual(decide(onRefused(state, first, A), START), { kind: 'fetch' })
  })

  test('is forgotten once the resource accepts its successor', () => {
    const state = onAccepted(replaced, second, A)
    assert.deepEqual(decide(onRefused(state, second, A), START), { kind: 'fetch' })
  })

  test('is not forgotten because the resource accepted an older one', () => {
    assert.equal(onAccepted(replaced, first, A), replaced)
  })

  test('waits for its successor as long as an outage at Entra says', () => {
    const state = onRefused(failing({}, holding(), START), first, A)
    assert.deepEqual(decide(state, START), { kind: 'wait', forMs: 1_000 })
  })

  test('by every resource is renewed from five minutes of age on, while it is used', () => {
    assert.equal(isRefusedEverywhere(refusedTwice), true)
    assert.deepEqual(decide(refusedTwice, START + 299_999), { kind: 'use', token: second })
    assert.deepEqual(decide(refusedTwice, START + 300_000), { kind: 'renew', token: second })
  })

  test('by some resource is not renewed early where another one accepts tokens', () => {
    const state = onAccepted(refusedTwice, second, B)
    assert.deepEqual([isRefusedEverywhere(state), isRefusedEverywhere(holding())], [false, false])
    assert.deepEqual(decide(state, START + 300_000), { kind: 'use', token: second })
  })

  test('by every resource and that lives shortly is renewed as usual', () => {
    const brief = aToken('brief', START, 200_000)
    const state = onRefused(onFetched(refusedOnce, brief), brief, A)
    assert.deepEqual(decide(state, START + 160_000), { kind: 'renew', token: brief })
  })
})

test('a token is good until it expires, and none is good for no time', () => {
  assert.equal(validForMs(aToken(), START + LIFE_MS - 1), 1)
  assert.equal(validForMs(aToken(), START + LIFE_MS + 1), 0)
  assert.equal(validForMs(undefined, START), 0)
})

test('nothing is known of a resource that was sent no token, nor of a token that is not held', () => {
  const state = {}
  assert.equal(refusesTokens(state, A), false)
  assert.equal(onAccepted(state, aToken(), A), state)
})

test('a token that is accepted again changes nothing', () => {
  const state = onAccepted(holding(), aToken(), A)
  assert.equal(onAccepted(state, aToken(), A), state)
})
