import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import type { z } from 'zod'
import { startEntra } from '../../local/entra.ts'
import { ENTRA_ERRORS } from '../../local/fixtures/entra-errors.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { exchangeAtEntra } from '../../shared/identity/entra-exchange.ts'
import { createFederatedTokenFetcher } from '../../shared/identity/federated-token.ts'
import type { FederationSettings } from '../../shared/identity/federation-settings.ts'
import type { GoogleIdToken } from '../../shared/identity/google-id-token.ts'
import { fetchMetadataIdToken } from '../../shared/identity/metadata-id-token.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { tokenErrorOf } from '../support/token-errors.ts'
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
const presented = { issuer: GOOGLE.issuer, subject: GOOGLE.subject, audience: ENTRA.assertionAudience }
const metadataHost = new URL(cloud.metadata.url).host

/** A fetch of its own, by an instance that holds no ID token yet. */
function fetchToken(over: Partial<FederationSettings> = {}) {
  const settings = {
    federation: { ...federation, ...over },
    tokenSource: { kind: 'metadata-server' },
    metadataHost,
  } as const
  return openTokenFetcher(settings, Date.now)()
}

const httpDate = (time: number) => new Date(time).toUTCString()

const fetchIdToken = (timeoutMs?: number) =>
  fetchMetadataIdToken(federation.audience, metadataHost, Date.now, timeoutMs)

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
    const { value, presented, expiresAt } = await fetchMetadataIdToken('api://a b&c=d', metadataHost, Date.now)
    const { iss, sub, aud, exp } = decodeJwt(value)
    assert.deepEqual(presented, { issuer: iss, subject: sub, audience: aud })
    assert.deepEqual(presented, { ...presented, subject: GOOGLE.subject, audience: 'api://a b&c=d' })
    assert.equal(expiresAt, Number(exp) * 1_000)
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

  test('by 503 has the status, after one GET: the library would try four times and forget it', async () => {
    const before = (await callsOf(cloud.metadata, 'identity')).length
    await placeFault(cloud.metadata, { kind: 'status', error: 'unavailable' })
    const { leg, details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([leg, details], ['google_id_token', { httpStatus: 503 }])
    assert.equal(message, 'the metadata server answered 503')
    assert.equal((await callsOf(cloud.metadata, 'identity')).length - before, 1)
  })

  test('brings the time that the metadata server asks to wait', async () => {
    await placeFault(cloud.metadata, { kind: 'status', error: 'unavailable', headers: { 'retry-after': '7' } })
    assert.deepEqual((await tokenErrorOf(fetchToken())).details, { httpStatus: 503, retryAfterMs: 7_000 })
  })

  test('by a reset says so without a status', async () => {
    await placeFault(cloud.metadata, { kind: 'reset' })
    const { leg, details } = await tokenErrorOf(fetchToken())
    assert.deepEqual([leg, details], ['google_id_token', {}])
  })

  test('by a hang gives the connection up at its deadline', async () => {
    await placeFault(cloud.metadata, { kind: 'hang' })
    await using wire = await openWire(cloud.metadata.url)
    const { message } = await tokenErrorOf(fetchMetadataIdToken(federation.audience, wire.url, Date.now, 200))
    assert.equal(message, 'the metadata server gave no ID token within 200 ms')
    await wire.lastClosed()
  })

  test('by something that is no token is no token', async () => {
    await placeFault(cloud.metadata, { kind: 'garbage', times: 1 })
    const { leg, details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([leg, details], ['google_id_token', {}])
    assert.equal(message, 'the metadata server answered something that is not an ID token')
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
    const refusal = { httpStatus: 401, code: 'invalid_client', aadsts: [700213], presented }
    assert.deepEqual([leg, rest], ['entra_exchange', refusal])
    assert.match(correlationId ?? '', /^[\da-f-]{36}$/)
    assert.equal(message, 'Entra answered 401 invalid_client AADSTS700213')
  })

  for (const [name, { status, error, aadsts }] of Object.entries(ENTRA_ERRORS)) {
    test(`by ${name} arrives as ${status} ${error} AADSTS${aadsts}, with what was presented`, async () => {
      await placeFault(cloud.entra, { kind: 'status', error: name })
      const { details } = await tokenErrorOf(fetchToken())
      assert.partialDeepStrictEqual(details, { httpStatus: status, code: error, aadsts: [aadsts], presented })
    })
  }

  test('brings the time that Entra asks to wait', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers: { 'retry-after': '7' } })
    const { details } = await tokenErrorOf(fetchToken())
    assert.deepEqual([details.httpStatus, details.code, details.retryAfterMs], [429, 'temporarily_unavailable', 7_000])
  })

  test('brings the time that Entra asks to wait as a date, by its own clock', async () => {
    const repliedAt = Date.now() - 3_600_000
    const headers = { 'retry-after': httpDate(repliedAt + 7_000), date: httpDate(repliedAt) }
    await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers })
    assert.equal((await tokenErrorOf(fetchToken())).details.retryAfterMs, 7_000)
  })

  for (const value of ['', '0', '-1', 'soon', 'Fri, 24 Nov 2023 06:00:00 GMT']) {
    test(`brings no time to wait for ${JSON.stringify(value)}`, async () => {
      await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers: { 'retry-after': value } })
      assert.equal((await tokenErrorOf(fetchToken())).details.retryAfterMs, undefined)
    })
  }

  const whole = { error: 'invalid_client', error_codes: [700_024], correlation_id: 'c0ffee' }
  const read = { httpStatus: 401, code: 'invalid_client', aadsts: [700_024], correlationId: 'c0ffee', presented }
  const { correlationId: _, ...withoutId } = read
  const { code: __, ...withoutCode } = read
  const oddBodies: readonly (readonly [string, z.core.util.JSONType, object])[] = [
    ['numbers as text', { ...whole, error_codes: ['700024'] }, read],
    ['an empty correlation id', { ...whole, correlation_id: '' }, withoutId],
    ['an error that is an object', { ...whole, error: { code: 'invalid_client' } }, withoutCode],
  ]
  for (const [what, body, expected] of oddBodies) {
    test(`with ${what} keeps what else it says`, async () => {
      await placeFault(cloud.entra, { kind: 'status', status: 401, body, match: '/token' })
      assert.deepEqual((await tokenErrorOf(fetchToken())).details, expected)
    })
  }

  test("by an issuer's keys that it could not read is known by the text, which is not repeated", async () => {
    const error_description = 'AADSTS7654321: Request to External OIDC endpoint failed.\r\nTrace ID: secret'
    const body = { error: 'invalid_request', error_description, error_codes: [7_654_321], correlation_id: 'c' }
    await placeFault(cloud.entra, { kind: 'status', status: 400, body, match: '/token' })
    const { details, message } = await tokenErrorOf(fetchToken())
    assert.partialDeepStrictEqual(details, { aadsts: [7_654_321], keysUnreadable: true })
    assert.equal(message, 'Entra answered 400 invalid_request AADSTS7654321')
    assert.doesNotMatch(JSON.stringify([details, diagnose({ leg: 'entra_exchange', details }, federation)]), /secret/)
  })

  test('may say nothing but its status', async () => {
    await placeFault(cloud.entra, { kind: 'status', status: 502, body: 'bad gateway' })
    const { details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([details, message], [{ httpStatus: 502, presented }, 'Entra answered 502'])
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
      assert.deepEqual([leg, details], ['entra_exchange', { presented }])
      assert.equal(message, 'Entra could not be reached, or answered something that is not a token')
    })
  }

  test('by a certificate that is not trusted says that no token came', async () => {
    const stranger = await startEntra({ assertionKeysUrl: cloud.metadata.certsUrl })
    const { leg, details, message } = await tokenErrorOf(fetchToken({ authorityHost: stranger.url }))
    await stranger.close()
    assert.deepEqual([leg, details], ['entra_exchange', { presented }])
    assert.equal(message, 'Entra could not be reached, or answered something that is not a token')
  })

  test('says what audience an ID token has that was made for another', async () => {
    await using other = await startCloud({ metadata: { audience: 'https://elsewhere.example' } })
    const fetchOther = openTokenFetcher(
      {
        federation: { ...federation, authorityHost: other.entra.url },
        tokenSource: { kind: 'metadata-server' },
        metadataHost: other.env['GCE_METADATA_HOST'],
      },
      Date.now,
    )
    const { details } = await tokenErrorOf(fetchOther())
    assert.deepEqual(details.aadsts, [700212])
    assert.equal(details.presented?.audience, 'https://elsewhere.example')
  })

  test('does not outlive its outage: after many 503s the very next exchange succeeds', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'temporarily_unavailable', times: 6, match: '/token' })
    for (let n = 0; n < 6; n += 1) assert.equal((await tokenErrorOf(fetchToken())).details.httpStatus, 503)
    assert.ok((await fetchToken()).value)
  })
})

test('a hang ends after two seconds at Google, and after five at Entra', async () => {
  const idToken = await fetchIdToken()
  await placeFault(cloud.metadata, { kind: 'hang', times: 1 })
  await placeFault(cloud.entra, { kind: 'hang', match: '/token', times: 1 })
  const [atGoogle, atEntra] = await Promise.all([
    tokenErrorOf(fetchToken()),
    tokenErrorOf(exchangeAtEntra(idToken, entra, { now: Date.now })),
  ])
  assert.deepEqual([atEntra.leg, atEntra.message], ['entra_exchange', 'Entra did not answer within 5000 ms'])
  assert.deepEqual(
    [atGoogle.leg, atGoogle.message],
    ['google_id_token', 'the metadata server gave no ID token within 2000 ms'],
  )
})

test('an exchange that hangs gives its connection up at its deadline', async () => {
  await placeFault(cloud.entra, { kind: 'hang', match: '/token', times: 1 })
  const idToken = await fetchIdToken()
  await using wire = await openWire(cloud.entra.url)
  await tokenErrorOf(exchangeAtEntra(idToken, { ...entra, authorityHost: wire.url }, { now: Date.now, timeoutMs: 300 }))
  await wire.lastClosed()
})

describe('a fetch as a whole', () => {
  test('ends in its time where a leg would take longer, and gives the connection up', async () => {
    await placeFault(cloud.entra, { kind: 'hang', match: '/token', times: 1 })
    await using wire = await openWire(cloud.entra.url)
    const idToken = await fetchIdToken()
    const idTokens = { get: async () => idToken, drop: () => undefined }
    const ours = { ...federation, authorityHost: wire.url }
    const { leg, message } = await tokenErrorOf(createFederatedTokenFetcher(ours, idTokens, Date.now, 300)())
    assert.deepEqual([leg, message], ['entra_exchange', 'no token came within 300 ms'])
    await wire.lastClosed()
  })

  test('begins no exchange after its time, when the ID token comes at last', async () => {
    const late = Promise.withResolvers<GoogleIdToken>()
    const fetchLate = createFederatedTokenFetcher(
      federation,
      { get: () => late.promise, drop: () => undefined },
      Date.now,
      50,
    )
    const before = (await callsOf(cloud.entra)).length
    const { leg, message } = await tokenErrorOf(fetchLate())
    assert.deepEqual([leg, message], ['google_id_token', 'no token came within 50 ms'])
    late.resolve(await fetchIdToken())
    await late.promise
    await fetchToken()
    assert.equal((await callsOf(cloud.entra)).length - before, 2)
  })
})
