import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  arrive,
  type DocumentedLimits,
  effectiveLimits,
  limitHeaders,
  type UsedQuota,
} from '../../local/azure-openai/documented-limits.ts'

const LIMITS: DocumentedLimits = {
  ...{ requestsPerMinute: 600, tokensPerMinute: 100_000, minuteMs: 60_000 },
  ...{ refusedUseQuota: false, lowered: [], noCapacity: [] },
}
const STARTS_AT = 1_200_000

/** Requests of so many tokens, each at a time after the start of a minute. */
function arriveAt(times: readonly number[], over: Partial<DocumentedLimits> = {}, tokens = 1) {
  const limits = { ...LIMITS, ...over }
  let used: UsedQuota | undefined
  return times.map((time) => {
    const arrival = arrive(used, limits, tokens, STARTS_AT + time)
    used = arrival.used
    const { verdict } = arrival
    const said = verdict.kind === 'granted' ? 'granted' : `${verdict.reason}, retry after ${verdict.retryAfterMs}`
    return { said, headers: limitHeaders(arrival, limits, STARTS_AT + time) }
  })
}

const sayings = (...asked: Parameters<typeof arriveAt>) => arriveAt(...asked).map(({ said }) => said)
const times = (count: number, ms: number) => Array.from({ length: count }, () => ms)
const granted = (count: number) => Array.from({ length: count }, () => 'granted')

describe('the documented limits', () => {
  test('grant 600 requests a minute as 10 in each second', () => {
    assert.deepEqual(sayings([...times(11, 250), 999, 1_000]), [
      ...granted(10),
      'requests, retry after 750',
      'requests, retry after 1',
      'granted',
    ])
  })

  test('grant a sixth of the minute in 10 s where a second is rounded up', () => {
    // 90 a minute are 2 in a second, and 15 in 10 s.
    const said = sayings(
      Array.from({ length: 16 }, (_, n) => n * 500),
      { requestsPerMinute: 90 },
    )
    assert.deepEqual(said, [...granted(15), 'requests, retry after 2500'])
  })

  test('grant one request to a deployment of one a minute', () => {
    const one = { requestsPerMinute: 1 }
    assert.deepEqual(sayings([0, 30_000, 60_000], one), ['granted', 'requests, retry after 30000', 'granted'])
  })

  test('charge tokens on arrival until the minute resets', () => {
    const said = sayings([0, 59_000, 59_500, 60_000], {}, 50_000)
    assert.deepEqual(said, ['granted', 'granted', 'tokens, retry after 500', 'granted'])
  })

  test('name the tokens, and their longer wait, of a request that exceeds both limits', () => {
    const said = sayings([0, 100], { requestsPerMinute: 60 }, 60_000)
    assert.deepEqual(said, ['granted', 'tokens, retry after 59900'])
  })

  test('do not charge a refused request where refusals are free', () => {
    const said = sayings([...times(15, 0), ...times(10, 1_000)], { requestsPerMinute: 600 })
    assert.deepEqual(said.slice(15), granted(10))
  })

  test('charge a refused request to every window where refusals use quota', () => {
    const said = sayings([...times(100, 0), 1_000], { refusedUseQuota: true })
    assert.deepEqual(said.slice(0, 11), [...granted(10), 'requests, retry after 1000'])
    assert.equal(said.at(-1), 'requests, retry after 9000')
  })

  test('scale all windows with a shorter minute', () => {
    const said = sayings([...times(11, 0), 166, 167, 9_999, 10_000], { minuteMs: 10_000 }, 8_000)
    assert.deepEqual(said, [
      ...granted(10),
      'requests, retry after 167',
      'requests, retry after 1',
      'granted',
      'granted',
      'granted',
    ])
  })

  test('refuse for want of capacity, whatever the quota, until the span ends', () => {
    const noCapacity = [{ from: STARTS_AT + 100, until: STARTS_AT + 200 }]
    assert.deepEqual(sayings([99, 100, 199, 200], { noCapacity }), [
      'granted',
      'capacity, retry after 20000',
      'capacity, retry after 20000',
      'granted',
    ])
  })

  test('apply a lowered limit for its span only', () => {
    const lowered = [{ from: STARTS_AT + 60_000, until: STARTS_AT + 120_000, share: 0.5 }]
    const said = sayings([0, 1, 60_000, 60_001, 120_000, 120_001], { lowered }, 50_000)
    assert.deepEqual(said, [...granted(3), 'tokens, retry after 59999', 'granted', 'granted'])
  })

  test('say the limits in force, what remains of the minute, and when it resets', () => {
    const [first, , third] = arriveAt(
      [0, 100, 30_100],
      { lowered: [{ from: STARTS_AT + 30_000, until: STARTS_AT + 40_000, share: 0.3 }] },
      40_000,
    )
    assert.deepEqual(first?.headers, {
      'x-ratelimit-limit-requests': '600',
      'x-ratelimit-limit-tokens': '100000',
      'x-ratelimit-remaining-requests': '599',
      'x-ratelimit-remaining-tokens': '60000',
      'x-ratelimit-reset-requests': '60',
      'x-ratelimit-reset-tokens': '60',
    })
    assert.deepEqual(third?.headers, {
      'x-ratelimit-limit-requests': '180',
      'x-ratelimit-limit-tokens': '30000',
      'x-ratelimit-remaining-requests': '178',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-requests': '30',
      'x-ratelimit-reset-tokens': '30',
      'retry-after': '30',
      'retry-after-ms': '29900',
    })
  })

  test('never grant more than a window holds, and grant again after the wait that a refusal names', () =>
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 300 }), fc.integer({ min: 1, max: 300 }), (gaps, rpm) => {
        const limits = { ...LIMITS, requestsPerMinute: rpm, tokensPerMinute: 1_000 }
        let used: UsedQuota | undefined
        let now = STARTS_AT
        const grantedAt: number[] = []
        for (const gap of gaps) {
          now += gap
          const { verdict, used: next } = arrive(used, limits, 100, now)
          used = next
          if (verdict.kind === 'granted') grantedAt.push(now)
          else assert.equal(arrive(used, limits, 100, now + verdict.retryAfterMs).verdict.kind, 'granted')
        }
        const { requests } = effectiveLimits(limits, now)
        const most = (ms: number) => Math.max(0, ...countsOf(grantedAt, ms))
        assert.ok(most(1_000) <= Math.ceil(requests / 60))
        assert.ok(most(10_000) <= Math.ceil(requests / 6))
        assert.ok(most(60_000) <= Math.min(requests, 10))
      }),
    ))
})

function countsOf(at: readonly number[], windowMs: number): readonly number[] {
  return Object.values(Object.groupBy(at, (time) => Math.floor(time / windowMs))).map((times) => times?.length ?? 0)
}
