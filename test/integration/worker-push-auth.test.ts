import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startPubSubPush } from '../../local/pubsub-push/pubsub-push.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { serveCerts } from '../support/certs-server.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'
import { calls, drained } from './pubsub-push-harness.ts'

const AUDIENCE = 'https://worker.example/push'
const SERVICE_ACCOUNT = 'push@contoso.iam.gserviceaccount.com'
const url = '/v1/chat/completions'
const job = { id: 'doc-7', url, body: { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] } }

const cloud = await startCloud()
const key = await createSigningKey()
const certs = await serveCerts(key.jwks)
after(async () => {
  await certs.close()
  await cloud.close()
})

function startGuardedWorker() {
  const identity = { PUSH_AUDIENCE: AUDIENCE, PUSH_SERVICE_ACCOUNT: SERVICE_ACCOUNT, PUSH_CERTS_URL: certs.url }
  return startWorker(cloud, { settings: { ...identity, PUSH_AUTH: 'verify' } })
}

/** A worker, and a subscription that pushes one job to it. */
async function startPushing(faults: readonly object[], more = {}) {
  await using started = new AsyncDisposableStack()
  const worker = started.use(await startGuardedWorker())
  const queue = started.adopt(await openSqliteQueue(worker.file, Date.now), (own) => own.close())
  const subscription = {
    name: 'projects/test/subscriptions/jobs',
    topic: 'jobs',
    endpoint: `${worker.url}/push`,
    oidc: { audience: AUDIENCE, serviceAccount: SERVICE_ACCOUNT },
    retry: { minBackoffMs: 1, maxBackoffMs: 1 },
    flow: { minBackoffMs: 1, maxBackoffMs: 1 },
    ...more,
  }
  const options = { file: worker.file, subscriptions: [subscription], pollMs: 2, key }
  const push = started.adopt(await startPubSubPush(options), (own) => own.close())
  for (const fault of faults) await fetch(`${push.url}/__faults`, { method: 'POST', body: JSON.stringify(fault) })
  await queue.publish('jobs', { data: Buffer.from(JSON.stringify(job)), attributes: { batch: 'nightly' } })
  const cleanups = started.move()
  return { worker, push, [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
}

test('a push of our own subscription is accepted, after every forged one was refused and logged without its token', async () => {
  const forgeries = ['none', 'expired', 'wrong-audience', 'wrong-email', 'bad-signature']
  await using on = await startPushing(forgeries.map((token) => ({ kind: 'forge-token', token })))
  await drained(on.push)
  const statuses = (await calls(on.push)).map(({ status }) => status)
  assert.deepEqual(statuses, [401, 401, 401, 403, 401, 204])
  assert.equal((await on.worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  const log = on.worker.logText()
  assert.match(
    log,
    new RegExp(`"expected":{"aud":"${AUDIENCE}","email":"${SERVICE_ACCOUNT}"},"seen":{"aud":"https://another`),
  )
  assert.match(log, /"seen":{"aud":"[^"]*","email":"stranger@/)
  assert.doesNotMatch(log, /eyJ/)
})

test('an unwrapped push of our own subscription is accepted as well', async () => {
  await using on = await startPushing([], { wrapped: false })
  await drained(on.push)
  assert.equal((await on.worker.record('doc-7', 'nightly'))?.status, 'succeeded')
})

test('a push without a token is refused before its body is read, however large, and its caller receives the 401', async () => {
  await using worker = await startGuardedWorker()
  for (let n = 0; n < 5; n += 1) assert.deepEqual(await worker.post(Buffer.alloc(10_000_000)), { status: 401 })
})
