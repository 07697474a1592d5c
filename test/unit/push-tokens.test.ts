import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose'
import { createPushTokens, type Forgery } from '../../local/pubsub-push/push-tokens.ts'
import { createSigningKey } from '../../local/signing-key.ts'

const NOW = Date.parse('2026-11-23T12:00:00.250Z')
const MINUTE = 60_000
const oidc = { audience: 'https://worker.example/push', serviceAccount: 'push@p.iam.gserviceaccount.com' }
const key = await createSigningKey()
const verify = (token: string | undefined) =>
  jwtVerify(token ?? '', createLocalJWKSet(key.jwks), {
    issuer: 'https://accounts.google.com',
    audience: oidc.audience,
    currentDate: new Date(NOW),
  })

describe('a valid push token', () => {
  test('says who pushes, to whom, for one hour', async () => {
    const { payload, protectedHeader } = await verify(await createPushTokens(key).valid(oidc, NOW))
    assert.equal(protectedHeader.alg, 'RS256')
    assert.equal(payload['email'], oidc.serviceAccount)
    assert.equal(payload['email_verified'], true)
    assert.equal(payload['azp'], payload.sub)
    assert.match(payload.sub ?? '', /^\d{21}$/)
    assert.equal(payload.iat, Math.floor(NOW / 1_000))
    assert.equal(payload.exp, Math.floor(NOW / 1_000) + 3_600)
  })

  test('is the same until five minutes before its end, then a new one', async () => {
    const tokens = createPushTokens(key)
    const first = await tokens.valid(oidc, NOW)
    assert.equal(await tokens.valid(oidc, NOW + 55 * MINUTE - 1), first)
    assert.notEqual(await tokens.valid(oidc, NOW + 55 * MINUTE), first)
  })

  test('differs between audiences and between service accounts', async () => {
    const tokens = createPushTokens(key)
    const one = decodeJwt(await tokens.valid(oidc, NOW))
    const other = decodeJwt(await tokens.valid({ ...oidc, audience: 'https://other.example' }, NOW))
    const third = decodeJwt(await tokens.valid({ ...oidc, serviceAccount: 'b@p.iam.gserviceaccount.com' }, NOW))
    assert.equal(other.aud, 'https://other.example')
    assert.notEqual(third.sub, one.sub)
  })
})

describe('a forged push token', () => {
  const forge = (forgery: Forgery) => createPushTokens(key).forged(forgery, oidc, NOW)

  test('expired: verifies but for its time', async () => {
    await assert.rejects(verify(await forge('expired')), errors.JWTExpired)
  })

  test('wrong-audience: verifies but for its audience', async () => {
    await assert.rejects(verify(await forge('wrong-audience')), {
      code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
      claim: 'aud',
    })
  })

  test('wrong-email: verifies, for the signature is Google’s, and names a stranger', async () => {
    const { payload } = await verify(await forge('wrong-email'))
    assert.notEqual(payload['email'], oidc.serviceAccount)
  })

  test('bad-signature: names the right key and was not signed by it', async () => {
    await assert.rejects(verify(await forge('bad-signature')), errors.JWSSignatureVerificationFailed)
  })

  test('none: there is no token', async () => {
    assert.equal(await forge('none'), undefined)
  })
})
