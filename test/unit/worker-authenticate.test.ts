import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { base64url, type JWTPayload, SignJWT } from 'jose'
import { createSigningKey } from '../../local/signing-key.ts'
import { type AuthenticatorOptions, createPushAuthenticator } from '../../worker/receive/authenticate.ts'
import { serveCerts } from '../support/certs-server.ts'

const START = Date.UTC(2026, 10, 24, 6)
const HOUR_MS = 3_600_000
const AUDIENCE = 'https://worker.example/push'
const EMAIL = 'push@contoso.iam.gserviceaccount.com'
const STRIPPED = 'SIGNATURE_REMOVED_BY_GOOGLE'

const google = await createSigningKey()
const stranger = await createSigningKey()
const certs = await serveCerts(google.jwks)
after(() => certs.close())

const claims: JWTPayload = {
  iss: 'https://accounts.google.com',
  aud: AUDIENCE,
  email: EMAIL,
  email_verified: true,
  iat: START / 1_000,
  exp: (START + HOUR_MS) / 1_000,
}

function authenticator(mode: 'verify' | 'cloud-run-iam' | 'off', over: Partial<AuthenticatorOptions> = {}) {
  const clock = { now: START }
  const pushAuth = mode === 'off' ? { mode } : { mode, audience: AUDIENCE, serviceAccount: EMAIL }
  const options = { pushAuth, certsUrl: certs.url, onCloudRun: true, now: () => clock.now, ...over }
  const authenticate = createPushAuthenticator(options)
  const statusOf = async (token: string) => {
    const check = await authenticate(`Bearer ${token}`)
    return check.ok ? 200 : check.status
  }
  return { clock, authenticate, statusOf }
}

const strip = (token: string) => `${token.slice(0, token.lastIndexOf('.'))}.${STRIPPED}`
const sign = (over: JWTPayload = {}) => google.sign({ ...claims, ...over })
const signWithout = (claim: string) =>
  google.sign(Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim)))

/** A token signed with HMAC whose secret is the public key: taken by a verifier that trusts the token's own alg. */
function confuse(): Promise<string> {
  const secret = new TextEncoder().encode(google.pems[google.keyId])
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: google.keyId }).sign(secret)
}

function unsigned(): string {
  const part = (value: object) => base64url.encode(JSON.stringify(value))
  return `${part({ alg: 'none', kid: google.keyId })}.${part(claims)}.`
}

async function forged(): Promise<string> {
  const [head] = (await sign()).split('.')
  const [, body, signature] = (await stranger.sign(claims)).split('.')
  return [head, body, signature].join('.')
}

const refusedTokens: readonly (readonly [string, number, () => string | Promise<string>])[] = [
  ['is garbage', 401, () => 'garbage'],
  ['has three parts of garbage', 401, () => 'a.b.c'],
  ['expired an hour ago', 401, () => sign({ exp: (START - HOUR_MS) / 1_000 })],
  ['never expires', 403, () => signWithout('exp')],
  ['is for another audience', 401, () => sign({ aud: 'https://another.example' })],
  ['is for no audience', 401, () => signWithout('aud')],
  ['is of another service account', 403, () => sign({ email: 'stranger@contoso.iam.gserviceaccount.com' })],
  ['is of nobody', 403, () => signWithout('email')],
  ['has an e-mail that was not verified', 403, () => sign({ email_verified: false })],
  ['says nothing of whether its e-mail was verified', 403, () => signWithout('email_verified')],
  ['is of another issuer', 401, () => sign({ iss: 'https://accounts.google.com.example' })],
  ['is of no issuer', 401, () => signWithout('iss')],
]

const forgedTokens: readonly (readonly [string, number, () => string | Promise<string>])[] = [
  ['is signed with a key that is not Google’s', 401, () => stranger.sign(claims)],
  ['is signed with another key in the name of Google’s', 401, forged],
  [
    'has the signature of another token',
    401,
    async () => strip(await sign()).replace(STRIPPED, (await sign({ iat: 1 })).split('.')[2] ?? ''),
  ],
  ['has alg none and no signature', 401, unsigned],
  ['is signed by HS256 with the public key as its secret', 401, confuse],
]

for (const mode of ['verify', 'cloud-run-iam'] as const) {
  describe(`PUSH_AUTH=${mode}`, () => {
    test('takes a good token, from either name of the issuer', async () => {
      const { authenticate, statusOf } = authenticator(mode)
      assert.deepEqual(await authenticate(`Bearer ${await sign()}`), { ok: true })
      assert.deepEqual(await authenticate(`bearer ${await sign()}`), { ok: true })
      assert.equal(await statusOf(await sign({ iss: 'accounts.google.com' })), 200)
    })

    test('refuses a push without a token', async () => {
      const { authenticate } = authenticator(mode)
      for (const header of [undefined, '', 'Bearer', 'Bearer ', `Basic ${await sign()}`, `Bearer ${await sign()} x`]) {
        const check = await authenticate(header)
        assert.ok(!check.ok)
        assert.deepEqual([check.status, check.problem], [401, 'the push carries no bearer token'])
      }
    })

    for (const [why, status, make] of [...refusedTokens, ...forgedTokens]) {
      test(`refuses a token that ${why}, and never quotes it`, async () => {
        const token = await make()
        const check = await authenticator(mode).authenticate(`Bearer ${token}`)
        assert.ok(!check.ok)
        assert.equal(check.status, status)
        const told = JSON.stringify(check)
        for (const part of token.split('.')) assert.ok(part.length < 8 || !told.includes(part), told)
      })
    }
  })
}

test('a refusal tells what was expected and what came, cut to 200 characters', async () => {
  const { authenticate } = authenticator('verify')
  const check = await authenticate(`Bearer ${await sign({ aud: 'x'.repeat(500) })}`)
  assert.deepEqual(check, {
    ok: false,
    status: 401,
    problem: "the token's aud is not the expected one",
    expected: { aud: AUDIENCE, email: EMAIL },
    seen: { aud: 'x'.repeat(200), email: EMAIL },
  })
})

test('PUSH_AUTH=off takes everything', async () => {
  const { authenticate } = authenticator('off')
  assert.deepEqual(await authenticate(undefined), { ok: true })
  assert.deepEqual(await authenticate('Bearer garbage'), { ok: true })
})

describe('a token whose signature Cloud Run has stripped', () => {
  test('is taken with cloud-run-iam on Cloud Run', async () => {
    assert.equal(await authenticator('cloud-run-iam').statusOf(strip(await sign())), 200)
  })

  test('is refused anywhere else, for anybody could have written it', async () => {
    const token = strip(await sign())
    assert.equal(await authenticator('cloud-run-iam', { onCloudRun: false }).statusOf(token), 401)
    assert.equal(await authenticator('verify').statusOf(token), 401)
  })

  for (const [why, status, make] of refusedTokens) {
    test(`is refused when it ${why}`, async () => {
      const { statusOf } = authenticator('cloud-run-iam')
      // A token that names no end is over.
      assert.equal(await statusOf(strip(await make())), why === 'never expires' ? 401 : status)
    })
  }

  test('is good up to the millisecond of its exp', async () => {
    const token = strip(await sign())
    const { clock, statusOf } = authenticator('cloud-run-iam')
    clock.now = START + HOUR_MS - 1
    assert.equal(await statusOf(token), 200)
    clock.now = START + HOUR_MS
    assert.equal(await statusOf(token), 401)
  })
})
