import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { createPushTokens } from '../../local/pubsub-push/push-tokens.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { serveCerts } from '../support/certs-server.ts'
import { DONE, JOB, onWorker } from '../support/on-worker.ts'
import { plant } from '../support/overdue-job.ts'
import { DEAD_LETTER_PATH } from '../support/served-worker.ts'
import { type TestWorker, wrap } from '../support/worker.ts'
import { calls, drained } from './pubsub-push-harness.ts'

const oidc = { audience: 'https://worker.example/push', serviceAccount: 'push@contoso.iam.gserviceaccount.com' }
const FORGERIES = ['none', 'expired', 'wrong-audience', 'wrong-email', 'bad-signature'] as const
const REFUSED = [401, 401, 401, 403, 401]

const key = await createSigningKey()
const tokens = createPushTokens(key)
const certs = await serveCerts(key.jwks)
after(() => certs.close())

const GUARDED = {
  ...{ PUSH_AUTH: 'verify', PUSH_CERTS_URL: certs.url },
  ...{ PUSH_AUDIENCE: oidc.audience, PUSH_SERVICE_ACCOUNT: oidc.serviceAccount },
}

/** A subscription that pushes one job to a worker. */
async function startPushing({ file, url }: TestWorker, faults: readonly object[], more = {}) {
  await using started = new AsyncDisposableStack()
  const queue = started.adopt(await openSqliteQueue(file, Date.now), (own) => own.close())
  const quick = { minBackoffMs: 1, maxBackoffMs: 1 }
  const subscription = {
    ...{ name: 'projects/test/subscriptions/jobs', topic: 'jobs', endpoint: `${url}/push`, oidc },
    ...{ retry: quick, flow: quick, ...more },
  }
  const options = { file, subscriptions: [subscription], pollMs: 2, key }
  const push = started.adopt(await startPubSubPush(options), (own) => own.close())
  for (const fault of faults) await fetch(`${push.url}/__faults`, { method: 'POST', body: JSON.stringify(fault) })
  await queue.publish('jobs', { data: Buffer.from(JSON.stringify(JOB)), attributes: { batch: 'nightly' } })
  const cleanups = started.move()
  return Object.assign(push, { [Symbol.asyncDispose]: () => cleanups.disposeAsync() })
}

test('a push of our own subscription is accepted, after every forged one was refused and logged without its token', () =>
  onWorker(GUARDED, async (worker) => {
    await using push = await startPushing(
      worker,
      FORGERIES.map((token) => ({ kind: 'forge-token', token })),
    )
    await drained(push)
    const statuses = (await calls(push)).map(({ status }) => status)
    assert.deepEqual(statuses, [...REFUSED, 204])
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
    const expected = `"expected":{"aud":"${oidc.audience}","email":"${oidc.serviceAccount}"}`
    assert.match(worker.logText(), new RegExp(`${expected},"seen":{"aud":"https://another`))
    assert.match(worker.logText(), /"seen":{"aud":"[^"]*","email":"stranger@/)
    assert.doesNotMatch(worker.logText(), /eyJ/)
  }))

test('an unwrapped push of our own subscription is accepted', () =>
  onWorker(GUARDED, async (worker) => {
    await using push = await startPushing(worker, [], { wrapped: false })
    await drained(push)
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  }))

test('a push without a token is refused before its body counts, however large, and its caller gets the answer', () =>
  onWorker(GUARDED, async (worker) => {
    for (let n = 0; n < 5; n += 1) assert.deepEqual(await worker.post(Buffer.alloc(10_000_000)), { status: 401 })
  }))

test('a dead letter with a forged token is refused, whatever it forges, and not recorded; with a valid one it is', () =>
  onWorker(GUARDED, async (worker) => {
    const body = JSON.stringify(wrap(JOB, { attributes: { 'pb-reason': 'rejected', 'pb-error': 'refused' } }))
    const forward = (token: string | undefined) => call(worker, DEAD_LETTER_PATH, token, body)
    assert.deepEqual(await forgedTo(forward), REFUSED)
    assert.deepEqual(await worker.recorded(), [])
    assert.equal(await forward(await tokens.valid(oidc, Date.now())), DONE.status)
    assert.equal((await worker.recorded()).length, 1)
  }))

test('a sweep with a forged token is refused, whatever it forges, and changes no record; with a valid one it is run', () =>
  onWorker(GUARDED, async (worker) => {
    await plant(worker)
    const statusOf = async () => (await worker.record('doc-7', 'nightly'))?.status
    const sweep = (token: string | undefined) => call(worker, '/sweep', token)
    assert.deepEqual(await forgedTo(sweep), REFUSED)
    assert.equal(await statusOf(), 'running')
    assert.equal(await sweep(await tokens.valid(oidc, Date.now())), 200)
    assert.equal(await statusOf(), 'waiting')
  }))

async function call({ url }: TestWorker, path: string, token: string | undefined, body = ''): Promise<number> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return (await fetch(url + path, { method: 'POST', headers, body })).status
}

async function forgedTo(send: (token: string | undefined) => Promise<number>): Promise<readonly number[]> {
  const statuses: number[] = []
  for (const forgery of FORGERIES) statuses.push(await send(await tokens.forged(forgery, oidc, Date.now())))
  return statuses
}
