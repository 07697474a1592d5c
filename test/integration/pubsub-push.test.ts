import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { type ArrivedPush, readEnvelope } from '../contract/queue-endpoint.ts'
import { calls, drained, newEndpoint, openAll, SUBSCRIPTION } from './pubsub-push-harness.ts'

const oidc = { audience: 'https://worker.example/push', serviceAccount: 'push@test.iam.gserviceaccount.com' }
const bearer = (arrived: ArrivedPush | undefined) => arrived?.headers.authorization?.replace('Bearer ', '') ?? ''

describe('authentication', () => {
  test('a push carries a token that verifies against the published keys', async (t) => {
    const { queue, push, answer } = await openAll(t, { oidc })
    await queue.publish('a')
    const [arrived] = await answer(204)
    const issuer = 'https://accounts.google.com'
    const keys = createRemoteJWKSet(new URL(push.certsUrl))
    const { payload } = await jwtVerify(bearer(arrived), keys, { issuer, audience: oidc.audience })
    assert.deepEqual([payload['email'], payload['email_verified']], [oidc.serviceAccount, true])
  })

  test('without a service account there is no token', async (t) => {
    const { queue, answer } = await openAll(t)
    await queue.publish('a')
    const [arrived] = await answer(204)
    assert.equal(arrived?.headers.authorization, undefined)
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
  for (const [status, acked] of [
    ...[200, 201, 202, 204].map((ack) => [ack, true] as const),
    ...[203, 301, 400, 429, 500, 503].map((nack) => [nack, false] as const),
  ]) {
    test(`${status} ${acked ? 'does' : 'does not'}`, async (t) => {
      const { queue, push, answer } = await openAll(t)
      await queue.publish('a')
      await answer(...(acked ? [status] : [status, 204]))
      assert.partialDeepStrictEqual(await drained(push), { acked: 1, nacked: acked ? 0 : 1 })
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
    const { queue, push, fault, answer } = await openAll(t, { deadLetter: { topic: 'dead' } })
    await fault({ kind: 'duplicate', rate: 1 })
    for (let n = 0; n < 10; n++) await queue.publish(`job ${n}`)
    const arrived = (await answer(...Array.from({ length: 20 }, () => 204))).map(readEnvelope)
    assert.ok(arrived.every(({ deliveryAttempt }) => deliveryAttempt === 1))
    const copies = Map.groupBy(arrived, ({ id }) => id)
    assert.deepEqual([copies.size, [...copies.values()].every(({ length }) => length === 2)], [10, true])
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
    const { queue, push, fault, answer } = await openAll(t)
    await fault({ kind: 'lose-ack', times: 1 })
    const id = await queue.publish('a')
    const ids = (await answer(204, 204)).map((arrived) => readEnvelope(arrived).id)
    assert.deepEqual(ids, [id, id])
    assert.partialDeepStrictEqual(await drained(push), { acked: 1, lost: 1, nacked: 0 })
  })

  test('cleared faults strike no more', async (t) => {
    const { queue, push, fault, answer } = await openAll(t)
    await fault({ kind: 'lose-ack', times: 5 })
    await fetch(`${push.url}/__faults`, { method: 'DELETE' })
    await queue.publish('a')
    await answer(204)
    assert.partialDeepStrictEqual(await drained(push), { acked: 1, lost: 0 })
  })

  test('an unknown fault is answered with 400 and why', async (t) => {
    const { fault } = await openAll(t)
    const answer = await fault({ kind: 'lose-ack', times: 0 })
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /times/)
  })
})

test('the call log has each delivery, its attempt and its outcome', async (t) => {
  const { queue, push, answer } = await openAll(t)
  const messageId = await queue.publish('a')
  await answer(503, 204)
  await drained(push)
  const common = { messageId, duplicate: false, dataSha256: createHash('sha256').update('a').digest('hex') }
  assert.deepEqual(await calls(push), [
    { operation: SUBSCRIPTION, status: 503, detail: { ...common, deliveryAttempt: 1, acked: false } },
    { operation: SUBSCRIPTION, status: 204, detail: { ...common, deliveryAttempt: 2, acked: true } },
  ])
})

test('connections are kept from one push to the next', async (t) => {
  const { queue, answer } = await openAll(t, { flow: { maxOutstanding: 1 } })
  await queue.publish('a')
  await queue.publish('b')
  const [first, second] = await answer(204, 204)
  assert.equal(second?.callerPort, first?.callerPort)
})
