import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  ABANDON_FETCH_AFTER_MS,
  type AccessToken,
  backoffMs,
  decide,
  onAccepted,
  onFetchBegun,
  onFetched,
  onFetchFailed,
  onRefused,
  type Setback,
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
const setback = (over: Partial<Setback> = {}): Setback => ({ nature: 'passing', jitter: 1, ...over })
const failing = (over: Partial<Setback> = {}, state: TokenState = {}, at = START) =>
  onFetchFailed(state, setback(over), at)

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
    assert.deepEqual(
      [0, 1, 2, 3, 4, 50].map((n) => backoffMs('passing', n, 1)),
      [1_000, 2_000, 4_000, 8_000, 10_000, 10_000],
    )
  })

  test('of configuration, the limit of the wait doubles from 60 s to 5 min', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 50].map((n) => backoffMs('configuration', n, 1)),
      [60_000, 120_000, 240_000, 300_000, 300_000],
    )
  })

  test('any wait up to the limit may come, so that instances part', () => {
    assert.deepEqual(
      [0, 0.25, 1].map((jitter) => failing({ jitter }).outage?.nextTryAt),
      [START, START + 250, START + 1_000],
    )
  })

  test('what the service asks wins over the backoff, up to 5 min', () => {
    assert.equal(failing({ retryAfterMs: 7_000, jitter: 0 }).outage?.nextTryAt, START + 7_000)
    assert.equal(failing({ retryAfterMs: 3_600_000, jitter: 0 }).outage?.nextTryAt, START + 300_000)
  })

  test('instances that were asked to wait equally long come back over a fifth more, none of them earlier', () => {
    assert.deepEqual(
      [0, 0.5, 1].map((jitter) => failing({ retryAfterMs: 100_000, jitter }).outage?.nextTryAt),
      [START + 100_000, START + 110_000, START + 120_000],
    )
  })

  test('the outage remembers its first failure and counts them', () => {
    const second = failing({}, failing(), START + 5_000).outage
    assert.partialDeepStrictEqual(second, { firstAt: START, failures: 2, nextTryAt: START + 7_000, isRefusal: false })
  })

  test('of another kind, the wait begins anew', () => {
    const { outage } = failing({ nature: 'configuration' }, failing({}, failing()), START)
    assert.deepEqual([outage?.kind, outage?.failures, outage?.nextTryAt], ['configuration', 1, START + 60_000])
  })

  test('that may be a setting on its way is passing for ten minutes, and then configuration', () => {
    const first = failing({ nature: 'spreading' })
    const kindAt = (ms: number) => failing({ nature: 'spreading' }, first, START + ms).outage?.kind
    assert.deepEqual([first.outage?.kind, kindAt(599_999), kindAt(600_000)], ['passing', 'passing', 'configuration'])
  })

  test('a stale assertion that a fresh one did not mend is configuration', () => {
    assert.equal(failing({ nature: 'stale' }).outage?.kind, 'configuration')
  })

  test('a token that comes ends the outage', () => {
    assert.deepEqual(onFetched(failing(), aToken()), { token: aToken() })
  })
})

describe('a token that Azure refused', () => {
  const refuse = (state: TokenState, token = aToken(), at = START) => onRefused(state, token, setback(), at)
  const onTrial = onFetched(refuse(holding()), aToken('second'))

  test('is dropped, and replaced at once', () => {
    assert.deepEqual(decide(refuse(holding()), START), { kind: 'fetch' })
  })

  test('and is not the one that is held any more, changes nothing', () => {
    const state = holding(aToken('second'))
    assert.equal(refuse(state), state)
  })

  test('is not replaced at once when it had replaced a refused one: the gate closes for 60 s, then for up to 5 min', () => {
    let state = onTrial
    for (const waitMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
      state = refuse(state, aToken('second'))
      assert.deepEqual(decide(state, START), { kind: 'wait', forMs: waitMs })
      state = onFetched(onFetchBegun(state, START), aToken('second'))
    }
  })

  test('goes on being an outage when a new token comes, until Azure takes it', () => {
    const state = onFetched(refuse(onTrial, aToken('second')), aToken('third'))
    assert.equal(state.outage?.isRefusal, true)
    assert.deepEqual(onAccepted(state, aToken('third')), { token: aToken('third') })
  })

  test('is forgotten once Azure takes its successor: a later refusal is a first one again', () => {
    const state = onAccepted(onTrial, aToken('second'))
    assert.deepEqual(decide(refuse(state, aToken('second')), START), { kind: 'fetch' })
  })

  test('is not forgotten because Azure took an older one', () => {
    assert.equal(onAccepted(onTrial, aToken('first')), onTrial)
  })

  test('and dropped already, changes nothing when others hear of it, be it refused again or taken', () => {
    const dropped = refuse(holding())
    assert.equal(refuse(dropped), dropped)
    assert.equal(onAccepted(dropped, aToken()), dropped)
  })

  test('goes on being an outage when the next token cannot be fetched, and after that too', () => {
    const refusedTwice = refuse(onTrial, aToken('second'))
    const unfetched = failing({}, failing({}, refusedTwice))
    assert.equal(unfetched.outage?.isRefusal, true)
    assert.equal(onFetched(unfetched, aToken('third')).outage?.isRefusal, true)
  })

  test('ends no outage at Entra when Azure takes its successor', () => {
    const state = failing({}, onTrial)
    assert.deepEqual(onAccepted(state, aToken('second')), { token: aToken('second'), outage: state.outage })
  })

  test('waits for its successor as long as an outage at Entra says', () => {
    const state = refuse(failing({}, holding(), START))
    assert.deepEqual(decide(state, START), { kind: 'wait', forMs: 1_000 })
  })
})

test('a token is good until it expires, and none is good for no time', () => {
  assert.equal(validForMs(aToken(), START + LIFE_MS - 1), 1)
  assert.equal(validForMs(aToken(), START + LIFE_MS + 1), 0)
  assert.equal(validForMs(undefined, START), 0)
})

test('a token that is taken as always changes nothing', () => {
  const state = holding()
  assert.equal(onAccepted(state, aToken()), state)
})
