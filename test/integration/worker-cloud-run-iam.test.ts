import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { base64url, type JWTPayload } from 'jose'
import { startCloudRunFront } from '../../local/cloud-run-front.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import type { StandIn } from '../../local/stand-in.ts'
import { sendRaw } from '../proof/support/hostile/send-raw.ts'
import { serveCerts } from '../support/certs-server.ts'
import { JOB, type OnWorker, onWorker } from '../support/on-worker.ts'
import { callsOf } from '../support/stand-ins.ts'
import { wrap } from '../support/worker.ts'

const AUDIENCE = 'https://promptbridge-worker.contoso.internal'
const PUSHER = 'push@contoso.iam.gserviceaccount.com'
const STRANGER = 'stranger@contoso.iam.gserviceaccount.com'

const google = await createSigningKey()
const certs = await serveCerts(google.jwks)
after(() => certs.close())

function claims(email: string): JWTPayload {
  const iat = Math.floor(Date.now() / 1_000)
  return { iss: 'https://accounts.google.com', aud: AUDIENCE, email, email_verified: true, iat, exp: iat + 3_600 }
}

/** What every caller can write: the claims of a token, with no signature at all. */
function written(email: string, over: JWTPayload = {}): string {
  const part = (value: object) => base64url.encode(JSON.stringify(value))
  return `${part({ alg: 'RS256', kid: google.keyId })}.${part({ ...claims(email), ...over })}.SIGNATURE_REMOVED_BY_GOOGLE`
}

const signed = (email: string) => google.sign(claims(email))

/** Runs a fact on a worker as it runs on Cloud Run, and what stands before it. `invokers`: who may call the service. */
async function behindCloudRun(
  invokers: readonly string[],
  fact: (on: { readonly worker: OnWorker; readonly front: StandIn }) => Promise<void>,
): Promise<void> {
  const identity = { PUSH_AUDIENCE: AUDIENCE, PUSH_SERVICE_ACCOUNT: PUSHER, PUSH_CERTS_URL: certs.url }
  const scenario = { ...identity, PUSH_AUTH: 'cloud-run-iam', dependencies: { onCloudRun: true } }
  await onWorker(scenario, async (worker) => {
    await using started = new AsyncDisposableStack()
    const options = { container: worker.url, key: google, audiences: [AUDIENCE], invokers }
    const front = started.adopt(await startCloudRunFront(options), (own) => own.close())
    await fact({ worker, front })
  })
}

/** Sends the job byte by byte: no client library sends a header twice or empty. */
async function send(to: string, lines: readonly string[], path = '/push') {
  const body = path === '/sweep' ? '' : JSON.stringify(wrap(JOB))
  const usual = ['host: worker', 'connection: close', `content-length: ${body.length}`]
  const head = [`POST ${path} HTTP/1.1`, ...usual, ...lines]
  return (await sendRaw(to, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`))).status
}

const SERVERLESS = 'X-Serverless-Authorization: Bearer'
const AUTHORIZATION = 'Authorization: Bearer'

describe('behind Cloud Run', () => {
  test('a push of our subscription is accepted: Cloud Run checks its signature and the worker its claims', () =>
    behindCloudRun([PUSHER], async ({ worker, front }) => {
      assert.equal(await send(front.url, [`${AUTHORIZATION} ${await signed(PUSHER)}`]), 204)
      assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
    }))

  test('and so is a sweep, and a push with the token in the other header', () =>
    behindCloudRun([PUSHER], async ({ front }) => {
      assert.equal(await send(front.url, [`${AUTHORIZATION} ${await signed(PUSHER)}`], '/sweep'), 200)
      assert.equal(await send(front.url, [`${SERVERLESS} ${await signed(PUSHER)}`]), 204)
    }))

  test('a caller without the invoker role does not reach the worker, whatever is written into Authorization', () =>
    behindCloudRun([PUSHER], async ({ worker, front }) => {
      assert.equal(await send(front.url, []), 403)
      assert.equal(await send(front.url, [`${AUTHORIZATION} ${written(PUSHER)}`]), 401)
      assert.equal(await send(front.url, [`${SERVERLESS} ${await signed(STRANGER)}`]), 403)
      assert.doesNotMatch(worker.logText(), /refused_push/)
    }))

  test('another account that may call the service cannot write the token of ours: 403 on every route, and nothing is paid', () =>
    behindCloudRun([PUSHER, STRANGER], async ({ worker, front }) => {
      const attack = [`${AUTHORIZATION} ${written(PUSHER)}`, `${SERVERLESS} ${await signed(STRANGER)}`]
      for (const path of ['/push', '/dead-letter', '/sweep']) {
        assert.equal(await send(front.url, attack, path), 403, path)
        assert.equal(await send(front.url, attack.toReversed(), path), 403, path)
      }
      // It has passed Cloud Run: the worker itself refused it.
      assert.equal((await callsOf(front)).length, 6)
      assert.equal(worker.logText().match(/"outcome":"refused_push"/g)?.length, 6)
      assert.deepEqual([await worker.modelCalls(), await worker.recorded()], [[], []])
      assert.equal(await worker.record('doc-7'), undefined)
    }))

  test('that account gains nothing by sending headers twice, empty, or of another scheme: 401, and nothing is paid', () =>
    behindCloudRun([PUSHER, STRANGER], async ({ worker, front }) => {
      const own = `${SERVERLESS} ${await signed(STRANGER)}`
      const ours = written(PUSHER)
      const attacks = [
        [own, `${SERVERLESS} ${ours}`],
        [own, `${AUTHORIZATION} ${ours}`, `${AUTHORIZATION} ${ours}`],
        [own, 'Authorization:', `${AUTHORIZATION} ${ours}`],
        [own, `Authorization: Basic ${ours}`],
        [own, `x-serverless-authorization: ${ours}`],
        [`${AUTHORIZATION} ${await signed(STRANGER)}`, `${AUTHORIZATION} ${ours}`],
        [`${AUTHORIZATION} ${await signed(STRANGER)}`, 'authorization:'],
      ]
      for (const lines of attacks) assert.equal(await send(front.url, lines), 401, JSON.stringify(lines))
      assert.deepEqual(await worker.modelCalls(), [])
      assert.equal(await worker.record('doc-7'), undefined)
    }))

  test('a service that allows unauthenticated calls accepts a forged token, so doctor and Terraform refuse it', () =>
    behindCloudRun(['allUsers'], async ({ front }) => {
      assert.equal(await send(front.url, [`${AUTHORIZATION} ${written(PUSHER)}`]), 204)
      const eternal = written(PUSHER, { exp: 253_402_300_799 })
      assert.equal(await send(front.url, [`${AUTHORIZATION} ${eternal}`]), 401)
    }))
})
