import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { AZURE } from '../../local/identities.ts'
import { clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { tokenErrorOf } from '../support/token-errors.ts'
import { openFetcher, watchCalls } from '../support/token-instance.ts'

const cloud = await startCloud()
after(() => cloud.close())
afterEach(async () => {
  await clearFaults(cloud.entra)
  await clearFaults(cloud.metadata)
})

test('one ID token serves many exchanges, for one scope or for several', async () => {
  const fetchToken = openFetcher(cloud)
  const calls = await watchCalls(cloud)
  const first = await fetchToken()
  const second = await fetchToken(AZURE.scope)
  assert.notEqual(first.value, second.value)
  assert.deepEqual(await calls(), { gets: 1, posts: 2 })
})

describe('an ID token that Entra finds stale', () => {
  for (const error of ['expired_assertion', 'bad_signature', 'unknown_key']) {
    test(`by ${error} is fetched again and exchanged at once; where that fails, each later fetch tries once`, async () => {
      const fetchToken = openFetcher(cloud)
      const calls = await watchCalls(cloud)
      await placeFault(cloud.entra, { kind: 'status', error, match: '/token' })
      const { leg, details } = await tokenErrorOf(fetchToken())
      assert.deepEqual([leg, details.httpStatus], ['entra_exchange', 401])
      assert.deepEqual(await calls(), { gets: 2, posts: 2 })
      await tokenErrorOf(fetchToken())
      assert.deepEqual(await calls(), { gets: 3, posts: 3 })
    })
  }

  test('once only is fetched again, and its token is had by the same fetch', async () => {
    const calls = await watchCalls(cloud)
    await placeFault(cloud.entra, { kind: 'status', error: 'unknown_key', match: '/token', times: 1 })
    assert.ok((await openFetcher(cloud)()).value)
    assert.deepEqual(await calls(), { gets: 2, posts: 2 })
  })

  test('is tried twice again once an exchange has succeeded', async () => {
    const fetchToken = openFetcher(cloud)
    await placeFault(cloud.entra, { kind: 'status', error: 'expired_assertion', match: '/token', times: 2 })
    await tokenErrorOf(fetchToken())
    await fetchToken()
    const calls = await watchCalls(cloud)
    await placeFault(cloud.entra, { kind: 'status', error: 'expired_assertion', match: '/token', times: 1 })
    assert.ok((await fetchToken()).value)
    assert.deepEqual(await calls(), { gets: 1, posts: 2 })
  })

  test('is no longer used where Google fails to give another', async () => {
    const fetchToken = openFetcher(cloud)
    await fetchToken()
    await placeFault(cloud.entra, { kind: 'status', error: 'expired_assertion', match: '/token', times: 1 })
    await placeFault(cloud.metadata, { kind: 'status', error: 'unavailable', times: 1 })
    const { leg, details } = await tokenErrorOf(fetchToken())
    assert.deepEqual([leg, details.httpStatus], ['google_id_token', 503])
    const calls = await watchCalls(cloud)
    assert.ok((await fetchToken()).value)
    assert.deepEqual(await calls(), { gets: 1, posts: 1 })
  })
})

const HOUR_MS = 3_600_000
const FIVE_MINUTES_MS = 5 * 60_000

describe('clocks that differ', () => {
  for (const [how, skewMs] of [
    ['five minutes behind', FIVE_MINUTES_MS],
    ['five minutes ahead', -FIVE_MINUTES_MS],
  ] as const) {
    test(`by a worker that is ${how} do no harm, to the last moment that an ID token is kept`, async () => {
      const start = Math.floor(Date.now() / 1_000) * 1_000
      const worker = { now: start }
      await using elsewhere = await startCloud({ dependencies: { now: () => worker.now + skewMs } })
      const fetchToken = openFetcher(elsewhere, {}, () => worker.now)
      const calls = await watchCalls(elsewhere)
      const { fetchedAt, expiresAt } = await fetchToken()
      assert.ok(expiresAt - fetchedAt > 0.9 * HOUR_MS)
      const keptUntil = start + skewMs + HOUR_MS - FIVE_MINUTES_MS
      worker.now = keptUntil - 1
      await fetchToken()
      assert.deepEqual(await calls(), { gets: 1, posts: 2 })
      worker.now = keptUntil
      await fetchToken()
      assert.deepEqual(await calls(), { gets: 2, posts: 3 })
    })
  }
})
