import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import { startEntra } from '../../local/entra.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { exchangeAtEntra } from '../../shared/identity/entra-exchange.ts'
import { createFederatedTokenFetcher } from '../../shared/identity/federated-token.ts'
import type { FederationSettings } from '../../shared/identity/federation-settings.ts'
import type { GoogleIdToken } from '../../shared/identity/google-id-token.ts'
import { fetchMetadataIdToken } from '../../shared/identity/metadata-id-token.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { tokenErrorOf } from '../support/token-errors.ts'
import { federationOn, openFetcher, watchCalls } from '../support/token-instance.ts'
import { openWire } from '../support/wire.ts'

const cloud = await startCloud()
after(() => cloud.close())
afterEach(async () => {
  await clearFaults(cloud.entra)
  await clearFaults(cloud.metadata)
})

const federation = federationOn(cloud)
const presented = { issuer: GOOGLE.issuer, subject: GOOGLE.subject, audience: ENTRA.assertionAudience }
const metadataHost = new URL(cloud.metadata.url).host

/** A fetch of its own, by an instance that holds no ID token yet. */
const fetchToken = (over?: Partial<FederationSettings>) => openFetcher(cloud, over)()

const fetchIdToken = () => fetchMetadataIdToken(federation.audience, metadataHost, Date.now)

describe('federation', () => {
  test("turns the instance's Google identity into a token for Azure OpenAI, by one call of each", async () => {
    const calls = await watchCalls(cloud)
    const before = Date.now()
    const { value, fetchedAt, expiresAt } = await fetchToken()
    const claims = decodeJwt(value)
    assert.deepEqual([claims.aud, claims['oid']], [AZURE.resource, ENTRA.objectId])
    assert.ok(fetchedAt >= before && fetchedAt <= Date.now())
    assert.ok(Math.abs(expiresAt - Number(claims.exp) * 1_000) <= 2_000)
    assert.deepEqual(await calls(), { gets: 1, posts: 1 })
  })

  test('asks the metadata server for a token for the audience that Entra expects, encoded', async () => {
    const { value, presented, expiresAt } = await fetchMetadataIdToken('api://a b&c=d', metadataHost, Date.now)
    const { iss, sub, aud, exp } = decodeJwt(value)
    assert.deepEqual(presented, { issuer: iss, subject: sub, audience: aud })
    assert.deepEqual(presented, { ...presented, subject: GOOGLE.subject, audience: 'api://a b&c=d' })
    assert.equal(expiresAt, Number(exp) * 1_000)
  })
})

describe("a failure of Google's leg names it, after one GET, and never reaches Entra", () => {
  const unavailable = { kind: 'status', error: 'unavailable' } as const
  for (const [what, fault, details, message] of [
    ['404', { kind: 'status', error: 'no_service_account' }, { httpStatus: 404 }, /service account/],
    ['503: the library would try four times', unavailable, { httpStatus: 503 }, /^the metadata server answered 503$/],
    [
      '503 with a time to wait',
      { ...unavailable, headers: { 'retry-after': '7' } },
      { httpStatus: 503, retryAfterMs: 7_000 },
      /503$/,
    ],
    ['a reset', { kind: 'reset' }, {}, /./],
    ['no token', { kind: 'garbage' }, {}, /^the metadata server answered something that is not an ID token$/],
  ] as const) {
    test(what, async () => {
      const calls = await watchCalls(cloud)
      await placeFault(cloud.metadata, fault)
      const error = await tokenErrorOf(fetchToken())
      assert.deepEqual([error.leg, error.details], ['google_id_token', details])
      assert.match(error.message, message)
      assert.equal((await calls()).posts, 0)
      if ('httpStatus' in details) assert.equal((await calls()).gets, 1)
    })
  }

  test('a hang gives the connection up at its deadline', async () => {
    await placeFault(cloud.metadata, { kind: 'hang' })
    await using wire = await openWire(cloud.metadata.url)
    const { message } = await tokenErrorOf(fetchMetadataIdToken(federation.audience, wire.url, Date.now, 200))
    assert.equal(message, 'the metadata server gave no ID token within 200 ms')
    await wire.lastClosed()
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

  for (const [value, waitMs] of [
    ['7', 7_000],
    ['0', undefined],
    ['soon', undefined],
  ] as const) {
    test(`that asks for a wait of ${value} brings ${waitMs === undefined ? 'none' : `${waitMs} ms`}`, async () => {
      await placeFault(cloud.entra, { kind: 'status', error: 'throttled', headers: { 'retry-after': value } })
      const { details } = await tokenErrorOf(fetchToken())
      const seen = [details.httpStatus, details.code, details.retryAfterMs]
      assert.deepEqual(seen, [429, 'temporarily_unavailable', waitMs])
    })
  }

  test("by an issuer's keys that it could not read is known by the text, which is not repeated", async () => {
    const error_description = 'AADSTS7654321: Request to External OIDC endpoint failed.\r\nTrace ID: secret'
    const body = { error: 'invalid_request', error_description, error_codes: [7_654_321], correlation_id: '' }
    await placeFault(cloud.entra, { kind: 'status', status: 400, body, match: '/token' })
    const { details, message } = await tokenErrorOf(fetchToken())
    const read = { httpStatus: 400, code: 'invalid_request', aadsts: [7_654_321], keysUnreadable: true, presented }
    assert.deepEqual([details, message], [read, 'Entra answered 400 invalid_request AADSTS7654321'])
    assert.doesNotMatch(JSON.stringify([details, diagnose({ leg: 'entra_exchange', details }, federation)]), /secret/)
  })

  test('may say nothing but its status', async () => {
    await placeFault(cloud.entra, { kind: 'status', status: 502, body: 'bad gateway' })
    const { details, message } = await tokenErrorOf(fetchToken())
    assert.deepEqual([details, message], [{ httpStatus: 502, presented }, 'Entra answered 502'])
  })

  const assertNoToken = async (fetching: Promise<unknown>) => {
    const { leg, details, message } = await tokenErrorOf(fetching)
    assert.deepEqual([leg, details], ['entra_exchange', { presented }])
    assert.equal(message, 'Entra could not be reached, or answered something that is not a token')
  }

  for (const fault of [
    { kind: 'reset', match: '/token' },
    { kind: 'reset', after: 'half-body', match: '/token' },
    { kind: 'garbage', match: '/token' },
    { kind: 'garbage', match: 'openid-configuration' },
  ] as const) {
    test(`by ${JSON.stringify(fault)} says that no token came`, async () => {
      await placeFault(cloud.entra, fault)
      await assertNoToken(fetchToken())
    })
  }

  test('by a certificate that is not trusted says that no token came', async () => {
    const stranger = await startEntra({ assertionKeysUrl: cloud.metadata.certsUrl })
    await assertNoToken(fetchToken({ authorityHost: stranger.url }))
    await stranger.close()
  })

  test('says what audience an ID token has that was made for another', async () => {
    await using other = await startCloud({ metadata: { audience: 'https://elsewhere.example' } })
    const { details } = await tokenErrorOf(openFetcher(other)())
    assert.deepEqual([details.aadsts, details.presented?.audience], [[700212], 'https://elsewhere.example'])
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
    tokenErrorOf(exchangeAtEntra(idToken, federation, { now: Date.now })),
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
  await tokenErrorOf(
    exchangeAtEntra(idToken, { ...federation, authorityHost: wire.url }, { now: Date.now, timeoutMs: 300 }),
  )
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
    const idTokens = { get: () => late.promise, drop: () => undefined }
    const fetchLate = createFederatedTokenFetcher(federation, idTokens, Date.now, 50)
    const before = (await callsOf(cloud.entra)).length
    const { leg, message } = await tokenErrorOf(fetchLate())
    assert.deepEqual([leg, message], ['google_id_token', 'no token came within 50 ms'])
    late.resolve(await fetchIdToken())
    await late.promise
    await fetchToken()
    assert.equal((await callsOf(cloud.entra)).length - before, 2)
  })
})
