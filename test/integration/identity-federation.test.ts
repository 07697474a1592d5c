import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { exchangeAtEntra } from '../../shared/identity/entra-exchange.ts'
import { type FederationSettings, fetchFederatedToken } from '../../shared/identity/federated-token.ts'
import { fetchGoogleIdToken } from '../../shared/identity/google-id-token.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../stand-ins.ts'
import { openWire } from '../support/wire.ts'

const cloud = await startCloud()
after(() => cloud.close())
afterEach(async () => {
  await clearFaults(cloud.entra)
  await clearFaults(cloud.metadata)
})

const entra = {
  tenantId: ENTRA.tenantId,
  clientId: ENTRA.clientId,
  authorityHost: cloud.entra.url,
  scope: AZURE.scope,
}
const federation: FederationSettings = { ...entra, audience: ENTRA.assertionAudience }

const fetchToken = (over: Partial<FederationSettings> = {}) => fetchFederatedToken({ ...federation, ...over }, Date.now)

/** The error with which it fails, whose message holds no token. */
async function tokenErrorOf(work: Promise<unknown>): Promise<TokenError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof TokenError, String(error))
  assert.doesNotMatch(error.message, /eyJ|[\w-]{40}/)
  return error
}

describe('federation', () => {
  test("turns the instance's Google identity into a token for Azure OpenAI", async () => {
    const before = Date.now()
    const { value, fetchedAt, expiresAt } = await fetchToken()
    const claims = decodeJwt(value)
    assert.deepEqual([claims.aud, claims['oid']], [AZURE.resource, ENTRA.objectId])
    assert.ok(fetchedAt >= before && fetchedAt <= Date.now())
    assert.ok(Math.abs(expiresAt - Number(claims.exp) * 1_000) <= 2_000)
  })

  test('asks the metadata server for a token for the audience that Entra expects, encoded', async () => {
    const idToken = decodeJwt(await fetchGoogleIdToken('api://a b&c=d'))
    assert.deepEqual([idToken.aud, idToken.sub], ['api://a b&c=d', GOOGLE.subject])
  })

  test('costs one call of each: nothing is tried again in secret', async () => {
    const count = async () =>
      (await callsOf(cloud.metadata, 'identity')).length + (await callsOf(cloud.entra, 'token')).length
    const before = await count()
    await fetchToken()
    assert.equal((await count()) - before, 2)
  })
})

describe("a failure of Google's leg", () => {
  test('names it, with the status', async () => {
    await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
    const { leg, details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([leg, details], ['google_id_token', { httpStatus: 404 }])
    assert.match(message, /service account/)
  })

  test('by 503 ends in time, although the library tries again by itself', async () => {
    await placeFault(cloud.metadata, { kind: 'status', error: 'unavailable' })
    const { leg, message } = await tokenErrorOf(fetchGoogleIdToken(federation.audience, 200))
    assert.deepEqual([leg, message], ['google_id_token', 'the metadata server gave no ID token within 200 ms'])
  })

  test('by something that is no token is no token', async () => {
    await placeFault(cloud.metadata, { kind: 'garbage', times: 1 })
    assert.equal((await tokenErrorOf(fetchToken())).leg, 'google_id_token')
  })

  test('never reaches Entra', async () => {
    await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
    const before = (await callsOf(cloud.entra)).length
    await tokenErrorOf(fetchToken())
    assert.equal((await callsOf(cloud.entra)).length, before)
  })
})

describe("a failure of Entra's leg", () => {
  test('names it, with the status, the OAuth error, the numbers and the correlation id', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject' })
    const { leg, details, message } = await tokenErrorOf(fetchToken())
    const { correlationId, ...rest } = details
    assert.deepEqual([leg, rest], ['entra_exchange', { httpStatus: 401, code: 'invalid_client', aadsts: [700213] }])
    assert.match(correlationId ?? '', /^[\da-f-]{36}$/)
    assert.equal(message, 'Entra answered 401 invalid_client AADSTS700213')
  })

  test('brings the time that Entra asks to wait', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers: { 'retry-after': '7' } })
    const { details } = await tokenErrorOf(fetchToken())
    assert.deepEqual([details.httpStatus, details.code, details.retryAfterMs], [429, 'temporarily_unavailable', 7_000])
  })

  for (const value of ['', '0', '-1', 'soon', 'Tue, 24 Nov 2026 06:00:00 GMT']) {
    test(`brings no time to wait for ${JSON.stringify(value)}`, async () => {
      await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers: { 'retry-after': value } })
      assert.equal((await tokenErrorOf(fetchToken())).details.retryAfterMs, undefined)
    })
  }

  test('may say nothing but its status', async () => {
    await placeFault(cloud.entra, { kind: 'status', status: 502, body: 'bad gateway' })
    const { details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([details, message], [{ httpStatus: 502 }, 'Entra answered 502'])
  })

  for (const [why, over, status, aadsts] of [
    ['the app registration is not known', { clientId: ENTRA.tenantId }, 400, 700016],
    ['the tenant is not known', { tenantId: ENTRA.clientId }, 400, 90002],
    ['the credential expects another audience', { audience: 'api://another' }, 401, 700212],
    ['the resource is not known', { scope: 'https://nowhere.example/.default' }, 400, 500011],
  ] as const) {
    test(`when ${why}, has Entra's own number`, async () => {
      const { leg, details } = await tokenErrorOf(fetchToken(over))
      assert.deepEqual([leg, details.httpStatus, details.aadsts], ['entra_exchange', status, [aadsts]])
    })
  }

  for (const fault of [
    { kind: 'reset', match: '/token' },
    { kind: 'reset', after: 'half-body', match: '/token' },
    { kind: 'garbage', match: '/token' },
    { kind: 'garbage', match: 'openid-configuration' },
  ] as const) {
    test(`by ${JSON.stringify(fault)} says that no token came`, async () => {
      await placeFault(cloud.entra, fault)
      const { leg, details, message } = await tokenErrorOf(fetchToken())
      assert.deepEqual([leg, details], ['entra_exchange', {}])
      assert.equal(message, 'Entra could not be reached, or answered something that is not a token')
    })
  }

  test('does not outlive its outage: after many 503s the very next exchange succeeds', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', times: 6, match: '/token' })
    for (let n = 0; n < 6; n += 1) assert.equal((await tokenErrorOf(fetchToken())).details.httpStatus, 503)
    assert.ok((await fetchToken()).value)
  })
})

test('a hang ends within two seconds at Google, and within five at Entra', async () => {
  const idToken = await fetchGoogleIdToken(federation.audience)
  await placeFault(cloud.metadata, { kind: 'hang', times: 1 })
  await placeFault(cloud.entra, { kind: 'hang', match: '/token', times: 1 })
  const startedAt = performance.now()
  const atGoogle = tokenErrorOf(fetchToken()).then((error) => ({ error, afterMs: performance.now() - startedAt }))
  const atEntra = await tokenErrorOf(exchangeAtEntra(idToken, entra, Date.now))
  assert.ok(performance.now() - startedAt < 5_500)
  assert.deepEqual([atEntra.leg, atEntra.message], ['entra_exchange', 'Entra did not answer within 5000 ms'])
  const { error, afterMs } = await atGoogle
  assert.ok(afterMs < 2_500)
  assert.deepEqual(
    [error.leg, error.message],
    ['google_id_token', 'the metadata server gave no ID token within 2000 ms'],
  )
})

test('an exchange that hangs gives its connection up at its deadline', { timeout: 5_000 }, async () => {
  await placeFault(cloud.entra, { kind: 'hang', match: '/token', times: 1 })
  const idToken = await fetchGoogleIdToken(federation.audience)
  await using wire = await openWire(cloud.entra.url)
  await tokenErrorOf(exchangeAtEntra(idToken, { ...entra, authorityHost: wire.url }, Date.now, 300))
  await wire.lastClosed()
})
