import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import type { AccessToken } from '../../shared/identity/renewal.ts'

const START = Date.UTC(2026, 10, 24, 6)
const LIFE_MS = 3_600_000
const RENEW_MS = 2_880_000
const never = new AbortController().signal

/** A source whose fetches the test ends itself, one after the other. */
function aSource() {
  const clock = { now: START }
  const fetches: PromiseWithResolvers<AccessToken>[] = []
  const source = createAccessTokenSource(
    () => {
      const fetching = Promise.withResolvers<AccessToken>()
      fetches.push(fetching)
      return fetching.promise
    },
    () => clock.now,
  )
  const answer = (value: string) =>
    fetches.at(-1)?.resolve({ value, fetchedAt: clock.now, expiresAt: clock.now + LIFE_MS })
  const fail = (error: Error) => fetches.at(-1)?.reject(error)
  return { ...source, clock, answer, fail, fetches: () => fetches.length }
}

/** A source that holds a token already. */
async function aWarmSource() {
  const source = aSource()
  const first = source.get(never)
  source.answer('first')
  return { ...source, first: await first }
}

/** All microtasks that are due, and what they bring about. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** What nobody caught while the work was done. */
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

  test('shares a failure with all who wait, and the next caller tries again', async () => {
    const { get, answer, fail, fetches } = aSource()
    const callers = [get(never), get(never), get(never)]
    fail(new Error('Entra is down'))
    const outcomes = await Promise.allSettled(callers)
    assert.ok(outcomes.every(({ status }) => status === 'rejected'))
    const next = get(never)
    answer('second')
    assert.deepEqual([(await next).value, fetches()], ['second', 2])
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
      fail(new Error('Entra is down'))
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

  test('delays nobody when its renewal fails, leaves no unhandled rejection, and the next caller tries again', async () => {
    const { get, clock, fail, fetches } = await aWarmSource()
    clock.now = START + RENEW_MS
    const unhandled = await unhandledDuring(async () => {
      assert.equal((await get(never)).value, 'first')
      fail(new Error('Entra is down'))
    })
    assert.deepEqual(unhandled, [])
    assert.deepEqual([(await get(never)).value, fetches()], ['first', 3])
  })

  test('becomes worth waiting for when it has run out meanwhile: the renewal under way is joined', async () => {
    const { get, clock, answer, fetches } = await aWarmSource()
    clock.now = START + RENEW_MS
    await get(never)
    clock.now = START + LIFE_MS
    const late = get(never)
    answer('second')
    assert.deepEqual([(await late).value, fetches()], ['second', 2])
  })
})

describe('a token that Azure refused', () => {
  test('is dropped, and the next caller fetches', async () => {
    const { get, refused, first, answer, fetches } = await aWarmSource()
    refused(first)
    const next = get(never)
    answer('second')
    assert.deepEqual([(await next).value, fetches()], ['second', 2])
  })

  test('is dropped once, however many found it refused: a newer one is left alone', async () => {
    const { get, refused, first, answer, fetches } = await aWarmSource()
    refused(first)
    const next = get(never)
    answer('second')
    await next
    refused(first)
    assert.deepEqual([(await get(never)).value, fetches()], ['second', 2])
  })
})
