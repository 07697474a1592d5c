import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { ABANDON_FETCH_AFTER_MS, type AccessToken } from '../../shared/identity/renewal.ts'
import { type FailureNature, TokenError } from '../../shared/identity/token-error.ts'

const START = Date.UTC(2026, 10, 24, 6)
const LIFE_MS = 3_600_000
const RENEW_MS = 2_880_000
const never = new AbortController().signal
const entraIsDown = new TokenError('entra_exchange', 'Entra answered 503', { httpStatus: 503 })

/** A source whose fetches the test ends itself, one after the other. Its first wait after a failure is `jitter` of a second. */
function aSource({ jitter = 0, nature = 'passing' as FailureNature } = {}) {
  const clock = { now: START }
  const fetches: PromiseWithResolvers<AccessToken>[] = []
  const heard: string[] = []
  const source = createAccessTokenSource({
    fetchToken: () => {
      const fetching = Promise.withResolvers<AccessToken>()
      fetches.push(fetching)
      return fetching.promise
    },
    diagnose: ({ leg }) => ({ nature, hint: `fix ${leg}` }),
    now: () => clock.now,
    random: () => jitter,
    observer: {
      failed: async ({ error, outage }) => void heard.push(`failed ${error.details.hint} ${outage.failures}`),
      held: () => void heard.push('held'),
      recovered: async () => void heard.push('recovered'),
    },
  })
  const answerTo = (nth: number, value: string, lifeMs = LIFE_MS) =>
    fetches[nth]?.resolve({ value, fetchedAt: clock.now, expiresAt: clock.now + lifeMs })
  const answer = (value: string, lifeMs = LIFE_MS) => answerTo(fetches.length - 1, value, lifeMs)
  const fail = (error: Error = entraIsDown, nth = fetches.length - 1) => fetches[nth]?.reject(error)
  return { ...source, clock, answer, answerTo, fail, fetches: () => fetches.length, heard }
}

/** A source that holds a token already. */
async function aWarmSource(how: Parameters<typeof aSource>[0] = {}) {
  const source = aSource(how)
  const first = source.get(never)
  source.answer('first')
  return { ...source, first: await first }
}

/** All microtasks that are due, and what they bring about. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** The rejections that were not handled while the work was done. */
async function unhandledDuring(work: () => Promise<void>): Promise<readonly unknown[]> {
  const seen: unknown[] = []
  const note = (reason: unknown) => seen.push(reason)
  process.on('unhandledRejection', note)
  await work()
  await settled()
  process.off('unhandledRejection', note)
  return seen
}

describe('a source without a token', () => {
  test('fetches once for a thousand callers', async () => {
    const { get, answer, fetches } = aSource()
    const callers = Array.from({ length: 1_000 }, () => get(never))
    answer('first')
    const values = new Set((await Promise.all(callers)).map(({ value }) => value))
    assert.deepEqual([[...values], fetches()], [['first'], 1])
  })

  test('tries once more for all who wait, when the next try is due', async () => {
    const { get, answer, fail, fetches, heard } = aSource()
    const callers = [get(never), get(never), get(never)]
    fail()
    await settled()
    assert.equal(fetches(), 2)
    answer('second')
    const values = (await Promise.all(callers)).map(({ value }) => value)
    assert.deepEqual(values, ['second', 'second', 'second'])
    assert.deepEqual(heard, ['failed fix entra_exchange 1', 'recovered'])
  })

  for (const [ms, verdict] of [
    [10_000, 'holds callers'],
    [10_001, 'turns callers away'],
  ] as const) {
    test(`${verdict} when the next try is ${ms} ms off`, async () => {
      const { get, clock, fail, heard } = aSource({ jitter: ms / 60_000, nature: 'configuration' })
      const leaving = new AbortController()
      const caller = get(leaving.signal, { until: clock.now + 60_000 }).catch((error: Error) => error.name)
      fail()
      await settled()
      leaving.abort(new RangeError('gone'))
      assert.deepEqual([await caller, heard.at(-1)], [ms > 10_000 ? 'TokenError' : 'RangeError', 'held'])
    })
  }

  test('turns a caller away who cannot be held until the next try, with what failed and how to fix it', async () => {
    const { get, clock, fail } = aSource({ jitter: 1 })
    const caller = get(never, { until: clock.now + 999 })
    fail()
    await assert.rejects(caller, (error) => {
      assert.ok(error instanceof TokenError)
      const reported = [error.leg, error.details.httpStatus, error.details.hint]
      assert.deepEqual(reported, ['entra_exchange', 503, 'fix entra_exchange'])
      return true
    })
  })

  test('does not fetch without end where each token is about to expire', async () => {
    const { get, answer, fetches } = aSource({ jitter: 1, nature: 'configuration' })
    const caller = get(never)
    answer('brief', 29_999)
    await assert.rejects(caller, /about to expire/)
    assert.equal(fetches(), 1)
  })

  test('takes an error that it does not know for a failure like any other', async () => {
    const { get, fail, heard } = aSource({ jitter: 1, nature: 'configuration' })
    const caller = get(never)
    fail(new TypeError('a fault of our own'))
    await assert.rejects(caller, TokenError)
    assert.equal(heard[0], 'failed fix entra_exchange 1')
  })
})

describe('a fetch that is 12 s old', () => {
  test('is abandoned: the next caller starts another, and those who wait get its token', async () => {
    const { get, clock, answer, fail, fetches, heard } = aSource()
    const early = get(never)
    clock.now += ABANDON_FETCH_AFTER_MS
    const late = get(never)
    assert.equal(fetches(), 2)
    answer('second')
    assert.equal((await late).value, 'second')
    fail(entraIsDown, 0)
    assert.deepEqual([(await early).value, heard], ['second', []])
  })

  test('is of use all the same when its token comes before the other', async () => {
    const { get, clock, answerTo } = aSource()
    const early = get(never)
    clock.now += ABANDON_FETCH_AFTER_MS
    const late = get(never)
    answerTo(0, 'first')
    await early
    assert.equal((await get(never)).value, 'first')
    answerTo(1, 'second')
    assert.equal((await late).value, 'second')
  })
})

describe('a caller that goes away', () => {
  test('leaves the fetch running for the others', async () => {
    const { get, answer, fetches } = aSource()
    const leaving = new AbortController()
    const left = get(leaving.signal)
    const stayed = get(never)
    leaving.abort(new Error('gone'))
    await assert.rejects(left, /^Error: gone$/)
    answer('first')
    assert.deepEqual([(await stayed).value, fetches()], ['first', 1])
  })

  test('leaves the token behind for those who come later, be it the only one', async () => {
    const { get, answer, fetches } = aSource()
    const leaving = new AbortController()
    const left = get(leaving.signal)
    leaving.abort(new Error('gone'))
    await assert.rejects(left)
    answer('first')
    await settled()
    assert.deepEqual([(await get(never)).value, fetches()], ['first', 1])
  })

  test('before it asked, causes no fetch', async () => {
    const { get, fetches } = aSource()
    await assert.rejects(get(AbortSignal.abort(new Error('gone'))), /^Error: gone$/)
    assert.equal(fetches(), 0)
  })

  test('leaves no unhandled rejection when the fetch then fails', async () => {
    const unhandled = await unhandledDuring(async () => {
      const { get, fail } = aSource()
      const leaving = new AbortController()
      const left = get(leaving.signal)
      leaving.abort(new Error('gone'))
      await assert.rejects(left)
      fail()
    })
    assert.deepEqual(unhandled, [])
  })

  test('leaves no listener on its signal', async () => {
    const { get, answer } = aSource()
    const { signal } = new AbortController()
    const added: string[] = []
    const removed: string[] = []
    const spied: AbortSignal = Object.assign(signal, {
      addEventListener: (type: string) => added.push(type),
      removeEventListener: (type: string) => removed.push(type),
    })
    const caller = get(spied)
    answer('first')
    await caller
    assert.deepEqual([added, removed], [['abort'], ['abort']])
  })
})

describe('a token that is due for renewal', () => {
  test('is used by everyone while one fetch gets the next', async () => {
    const { get, clock, answer, fetches } = await aWarmSource()
    clock.now = START + RENEW_MS
    const values = (await Promise.all([get(never), get(never), get(never)])).map(({ value }) => value)
    assert.deepEqual([values, fetches()], [['first', 'first', 'first'], 2])
    answer('second')
    await settled()
    assert.deepEqual([(await get(never)).value, fetches()], ['second', 2])
  })

  test('delays no caller when its renewal fails, leaves no unhandled rejection, and is tried again when that is due', async () => {
    const { get, clock, fail, fetches, heard } = await aWarmSource({ jitter: 1 })
    clock.now = START + RENEW_MS
    const unhandled = await unhandledDuring(async () => {
      assert.equal((await get(never)).value, 'first')
      fail()
    })
    assert.deepEqual([unhandled, heard], [[], ['failed fix entra_exchange 1']])
    clock.now += 999
    assert.deepEqual([(await get(never)).value, fetches()], ['first', 2])
    clock.now += 1
    assert.deepEqual([(await get(never)).value, fetches()], ['first', 3])
  })

  test('is awaited by the request that began it, and by no other, until its outcome is reported', async () => {
    const { get, clock, answer } = await aWarmSource()
    clock.now = START + RENEW_MS
    const carried: Promise<void>[] = []
    const waitUntil = (work: Promise<void>) => void carried.push(work)
    await get(never, { waitUntil })
    await get(never, { waitUntil })
    assert.equal(carried.length, 1)
    answer('second')
    await carried[0]
    assert.equal((await get(never)).value, 'second')
  })
})

const A = 'https://contoso.openai.azure.com'

describe('a token that a resource refused', () => {
  test('is dropped, and the next caller fetches', async () => {
    const { get, refused, first, answer, fetches } = await aWarmSource()
    assert.equal(refused(first, A), false)
    const next = get(never)
    answer('second')
    assert.deepEqual([(await next).value, fetches()], ['second', 2])
  })
})

describe('the status of a source', () => {
  test('is none before anybody asked, good with a token, failing in an outage though the token is good', async () => {
    assert.deepEqual(aSource().status(), { state: 'none', validForMs: 0 })
    const { get, clock, fail, status } = await aWarmSource({ jitter: 1 })
    assert.deepEqual(status(), { state: 'good', validForMs: LIFE_MS })
    clock.now = START + RENEW_MS
    await get(never)
    fail()
    await settled()
    assert.deepEqual(status(), { state: 'failing', validForMs: LIFE_MS - RENEW_MS })
  })
})
