import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { type ArrivedPush, readEnvelope } from '../contract/queue-endpoint.ts'
import { longestAttributes } from '../support/served-worker.ts'
import { calls, drained, newEndpoint, openAll, SUBSCRIPTION } from './pubsub-push-harness.ts'

const oidc = { audience: 'https://worker.example/push', serviceAccount: 'push@test.iam.gserviceaccount.com' }
const bearer = ({ headers }: ArrivedPush) => headers.authorization?.replace('Bearer ', '') ?? ''

describe('authentication', () => {
  test('a push carries a token that verifies against the published keys', async (t) => {
    const { queue, endpoint, push } = await openAll(t, { oidc })
    await queue.publish('a')
    const arrived = await endpoint.next()
    const issuer = 'https://accounts.google.com'
    const keys = createRemoteJWKSet(new URL(push.certsUrl))
    const { payload } = await jwtVerify(bearer(arrived), keys, { issuer, audience: oidc.audience })
    assert.equal(payload['email'], oidc.serviceAccount)
    assert.equal(payload['email_verified'], true)
    arrived.answer(204)
  })

  test('without a service account there is no token', async (t) => {
    const { queue, endpoint } = await openAll(t)
    await queue.publish('a')
    const arrived = await endpoint.next()
    assert.equal(arrived.headers.authorization, undefined)
    arrived.answer(204)
  })

  test('a forged token comes as often as asked for, then a good one', async (t) => {
    const { queue, endpoint, push, fault } = await openAll(t, { oidc })
    await fault({ kind: 'forge-token', times: 2, token: 'wrong-audience' })
    await queue.publish('a')
    const audiences: unknown[] = []
    for (const status of [401, 401, 204]) {
      const arrived = await endpoint.next()
      const { payload } = await jwtVerify(bearer(arrived), createRemoteJWKSet(new URL(push.certsUrl)))
      audiences.push(payload.aud === oidc.audience)
      arrived.answer(status)
    }
    assert.deepEqual(audiences, [false, false, true])
  })
})

test('several instances of an endpoint are pushed to in turn', async (t) => {
  const other = await newEndpoint(t)
  const { queue, endpoint, push } = await openAll(t, { alsoAt: [other.url] })
  for (const body of ['a', 'b', 'c', 'd']) await queue.publish(body)
  for (const instance of [endpoint, other, endpoint, other]) (await instance.next()).answer(204)
  assert.partialDeepStrictEqual(await drained(push), { acked: 4 })
})

describe('what counts as an ack', () => {
  for (const status of [200, 201, 202, 204]) {
    test(`${status} does`, async (t) => {
      const { queue, endpoint, push } = await openAll(t)
      await queue.publish('a')
      const arrived = await endpoint.next()
      arrived.answer(status)
      assert.partialDeepStrictEqual(await drained(push), { acked: 1, nacked: 0 })
    })
  }

  for (const status of [203, 301, 400, 429, 500, 503]) {
    test(`${status} does not`, async (t) => {
      const { queue, endpoint, push } = await openAll(t)
      await queue.publish('a')
      for (const answer of [status, 204]) {
        const arrived = await endpoint.next()
        arrived.answer(answer)
      }
      assert.partialDeepStrictEqual(await drained(push), { acked: 1, nacked: 1 })
    })
  }

  test('102 does, before the final answer', async (t) => {
    const { queue, endpoint, push } = await openAll(t)
    await queue.publish('a')
    const arrived = await endpoint.next()
    arrived.acceptEarly()
    assert.partialDeepStrictEqual(await drained(push), { acked: 1, nacked: 0 })
    arrived.answer(500)
  })

  test('silence until the ack deadline does not', async (t) => {
    const { queue, endpoint, push } = await openAll(t, { ackDeadlineMs: 200 })
    const id = await queue.publish('a')
    await endpoint.next()
    // On a busy machine this answer may come too late as well.
    const answerAll = async (): Promise<never> => {
      const again = await endpoint.next()
      assert.equal(readEnvelope(again).id, id)
      again.answer(204)
      return answerAll()
    }
    const { acked } = await Promise.race([drained(push), answerAll()])
    assert.equal(acked, 1)
    const statuses = (await calls(push)).map(({ status }) => status)
    assert.deepEqual([statuses[0], statuses.at(-1)], [null, 204])
  })
})

describe('faults', () => {
  test('duplicates at 100 % deliver each message twice, with one id and one attempt', async (t) => {
    const { queue, endpoint, push, fault } = await openAll(t, { deadLetter: { topic: 'dead' } })
    await fault({ kind: 'duplicate', rate: 1 })
    for (let n = 0; n < 10; n++) await queue.publish(`job ${n}`)
    const seen = new Map<string, number>()
    for (let n = 0; n < 20; n++) {
      const arrived = await endpoint.next()
      const { id, deliveryAttempt } = readEnvelope(arrived)
      assert.equal(deliveryAttempt, 1)
      seen.set(id, (seen.get(id) ?? 0) + 1)
      arrived.answer(204)
    }
    assert.deepEqual(
      [...seen.values()],
      Array.from({ length: 10 }, () => 2),
    )
    assert.partialDeepStrictEqual(await drained(push), { acked: 10, delivered: 10 })
    assert.equal((await calls(push)).filter(({ detail }) => detail['duplicate'] === true).length, 10)
  })

  test('one copy’s ack is enough', async (t) => {
    const { queue, endpoint, push, fault } = await openAll(t)
    await fault({ kind: 'duplicate', rate: 1 })
    // Four ids, for whether a copy comes alongside or after the ack follows from the id.
    const ids = [await queue.publish('a'), await queue.publish('b'), await queue.publish('c'), await queue.publish('d')]
    const refusedOnce = new Set<string>()
    for (let n = 0; n < 2 * ids.length; n++) {
      const arrived = await endpoint.next()
      const { id } = readEnvelope(arrived)
      arrived.answer(refusedOnce.has(id) ? 503 : 204)
      refusedOnce.add(id)
    }
    assert.partialDeepStrictEqual(await drained(push), { acked: 4, nacked: 0 })
  })

  test('a lost ack redelivers the message, although the endpoint had acknowledged it', async (t) => {
    const { queue, endpoint, push, fault } = await openAll(t)
    await fault({ kind: 'lose-ack', times: 1 })
    const id = await queue.publish('a')
    for (let n = 0; n < 2; n++) {
      const arrived = await endpoint.next()
      assert.equal(readEnvelope(arrived).id, id)
      arrived.answer(204)
    }
    assert.partialDeepStrictEqual(await drained(push), { acked: 1, lost: 1, nacked: 0 })
  })

  test('cleared faults strike no more', async (t) => {
    const { queue, endpoint, push, fault } = await openAll(t)
    await fault({ kind: 'lose-ack', times: 5 })
    await fetch(`${push.url}/__faults`, { method: 'DELETE' })
    await queue.publish('a')
    const arrived = await endpoint.next()
    arrived.answer(204)
    assert.partialDeepStrictEqual(await drained(push), { acked: 1, lost: 0 })
  })

  test('an unknown fault is answered with 400 and why', async (t) => {
    const { fault } = await openAll(t)
    const answer = await fault({ kind: 'lose-ack', times: 0 })
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /times/)
  })
})

describe('the call log', () => {
  test('has each delivery, its attempt and its outcome', async (t) => {
    const { queue, endpoint, push } = await openAll(t)
    const messageId = await queue.publish('a')
    for (const status of [503, 204]) {
      const arrived = await endpoint.next()
      arrived.answer(status)
    }
    await drained(push)
    const common = { messageId, duplicate: false, dataSha256: createHash('sha256').update('a').digest('hex') }
    assert.deepEqual(await calls(push), [
      { operation: SUBSCRIPTION, status: 503, detail: { ...common, deliveryAttempt: 1, acked: false } },
      { operation: SUBSCRIPTION, status: 204, detail: { ...common, deliveryAttempt: 2, acked: true } },
    ])
  })
})

test('an unwrapped push carries the bare data', async (t) => {
  const { queue, endpoint } = await openAll(t, { wrapped: false })
  const id = await queue.publish('{"prompt":"hi"}')
  const arrived = await endpoint.next()
  assert.equal(arrived.body.toString(), '{"prompt":"hi"}')
  assert.equal(arrived.headers['x-goog-pubsub-message-id'], id)
  arrived.answer(204)
})

test('an unwrapped push carries as many and as long attributes as Pub/Sub allows', async (t) => {
  const { queue, endpoint } = await openAll(t, { wrapped: false })
  const attributes = longestAttributes(100)
  await queue.publish('{"prompt":"hi"}', attributes)
  const arrived = await endpoint.next()
  assert.partialDeepStrictEqual(arrived.headers, attributes)
  arrived.answer(204)
})

test('connections are kept from one push to the next', async (t) => {
  const { queue, endpoint } = await openAll(t, { flow: { maxOutstanding: 1 } })
  await queue.publish('a')
  await queue.publish('b')
  const first = await endpoint.next()
  first.answer(204)
  const second = await endpoint.next()
  second.answer(204)
  assert.equal(second.callerPort, first.callerPort)
})
