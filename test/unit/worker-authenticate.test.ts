import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { base64url, type JWTPayload, SignJWT } from 'jose'
import { createSigningKey } from '../../local/signing-key.ts'
import { type AuthenticatorOptions, createPushAuthenticator } from '../../worker/http/authenticate.ts'
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
  const statusOf = (token: string) => statusFor(['authorization', `Bearer ${token}`])
  /** Of a request with these header lines. */
  const statusFor = async (...lines: [string, string][]) => {
    const check = await authenticate(new Headers(lines))
    return check.ok ? 200 : check.status
  }
  return { clock, authenticate, statusOf, statusFor }
}

const withToken = (token: string) => new Headers({ authorization: `Bearer ${token}` })

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
  ['never expires', 401, () => signWithout('exp')],
  ['expires in the year 9999', 401, () => sign({ exp: 253_402_300_799 })],
  ['expires more than an hour and five minutes ahead', 401, () => sign({ exp: START / 1_000 + 3_901 })],
  ['says nothing of when it was issued', 401, () => signWithout('iat')],
  ['was issued more than five minutes ahead', 401, () => sign({ iat: START / 1_000 + 301 })],
  ['is for another audience', 401, () => sign({ aud: 'https://another.example' })],
  ['is for no audience', 401, () => signWithout('aud')],
  ['is of another service account', 403, () => sign({ email: 'stranger@contoso.iam.gserviceaccount.com' })],
  ['has no e-mail', 403, () => signWithout('email')],
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
      assert.deepEqual(await authenticate(withToken(await sign())), { ok: true })
      assert.deepEqual(await authenticate(new Headers({ authorization: `bearer ${await sign()}` })), { ok: true })
      assert.equal(await statusOf(await sign({ iss: 'accounts.google.com' })), 200)
    })

    test('refuses a push without a token', async () => {
      const { authenticate } = authenticator(mode)
      const check = await authenticate(new Headers())
      assert.ok(!check.ok)
      assert.deepEqual([check.status, check.problem], [401, 'the push carries no bearer token'])
    })

    for (const [why, status, make] of [...refusedTokens, ...forgedTokens]) {
      test(`refuses a token that ${why}, and never quotes it`, async () => {
        const token = await make()
        const check = await authenticator(mode).authenticate(withToken(token))
        assert.ok(!check.ok)
        assert.equal(check.status, status)
        const text = JSON.stringify(check)
        for (const part of token.split('.')) assert.ok(part.length < 8 || !text.includes(part), text)
      })
    }
  })
}

test('a refusal names what was expected and what came, cut to 200 characters', async () => {
  const { authenticate } = authenticator('verify')
  const check = await authenticate(withToken(await sign({ aud: 'x'.repeat(500) })))
  assert.deepEqual(check, {
    ok: false,
    status: 401,
    problem: "the token's aud is not the expected one",
    expected: { aud: AUDIENCE, email: EMAIL },
    seen: { aud: 'x'.repeat(200), email: EMAIL },
  })
})

test('a worker that delivers itself refuses every push, and says why', async () => {
  const options = { pushAuth: { mode: 'none' }, certsUrl: certs.url, onCloudRun: false, now: Date.now } as const
  const check = await createPushAuthenticator(options)(new Headers({ authorization: 'Bearer x' }))
  assert.ok(!check.ok)
  assert.deepEqual([check.status, check.problem.includes('accepts no pushes')], [403, true])
})

test('PUSH_AUTH=off accepts every push', async () => {
  const { authenticate } = authenticator('off')
  assert.deepEqual(await authenticate(new Headers()), { ok: true })
  assert.deepEqual(await authenticate(withToken('garbage')), { ok: true })
})

describe('a token whose signature Cloud Run has stripped', () => {
  test('is accepted with cloud-run-iam on Cloud Run', async () => {
    assert.equal(await authenticator('cloud-run-iam').statusOf(strip(await sign())), 200)
  })

  test('is refused anywhere else, because any caller could have written it', async () => {
    const token = strip(await sign())
    assert.equal(await authenticator('cloud-run-iam', { onCloudRun: false }).statusOf(token), 401)
    assert.equal(await authenticator('verify').statusOf(token), 401)
  })

  for (const [why, status, make] of refusedTokens) {
    test(`is refused when it ${why}`, async () => {
      assert.equal(await authenticator('cloud-run-iam').statusOf(strip(await make())), status)
    })
  }

  for (const exp of ['"1795504800"', '1e999', '{}']) {
    test(`is refused when its exp is ${exp}, which is no number of seconds`, async () => {
      const body = JSON.stringify(claims).replace(/"exp":\d+/, `"exp":${exp}`)
      const token = `${base64url.encode('{"alg":"RS256"}')}.${base64url.encode(body)}.${STRIPPED}`
      assert.equal(await authenticator('cloud-run-iam').statusOf(token), 401)
    })
  }
})

for (const [how, present] of [
  ['with its signature', async (token: string) => token],
  ['stripped', async (token: string) => strip(token)],
] as const) {
  describe(`the times of a token ${how}`, () => {
    test('end 30 seconds after its exp, to the millisecond', async () => {
      const token = await present(await sign())
      const { clock, statusOf } = authenticator('cloud-run-iam')
      clock.now = START + HOUR_MS + 30_000 - 1
      assert.equal(await statusOf(token), 200)
      clock.now = START + HOUR_MS + 30_000
      assert.equal(await statusOf(token), 401)
    })

    test('allow a clock that lags five minutes behind, and no more', async () => {
      const token = await present(await sign())
      const { clock, statusOf } = authenticator('cloud-run-iam')
      clock.now = START - 300_001
      assert.equal(await statusOf(token), 401)
      clock.now = START - 300_000
      assert.equal(await statusOf(token), 200)
    })
  })
}

const STRANGER = { email: 'stranger@contoso.iam.gserviceaccount.com' }
const SERVERLESS = 'x-serverless-authorization'
const AUTHORIZATION = 'authorization'

describe('behind Cloud Run, where both headers are sent', () => {
  test('a stripped token of ours that the caller wrote into Authorization does not count beside the token that was checked', async () => {
    const { statusFor } = authenticator('cloud-run-iam')
    const written = `Bearer ${strip(await sign())}`
    const checked = `Bearer ${strip(await sign(STRANGER))}`
    assert.equal(await statusFor([SERVERLESS, checked], [AUTHORIZATION, written]), 403)
    // Cloud Run takes access tokens as well, and these say nothing of who calls.
    assert.equal(await statusFor([SERVERLESS, 'Bearer ya29.c.access-token'], [AUTHORIZATION, written]), 401)
  })

  test('not even a token that Google did sign for us counts beside it', async () => {
    const { statusFor } = authenticator('cloud-run-iam')
    const checked = `Bearer ${strip(await sign(STRANGER))}`
    assert.equal(await statusFor([SERVERLESS, checked], [AUTHORIZATION, `Bearer ${await sign()}`]), 403)
  })

  test('ours in X-Serverless-Authorization counts, whatever the other header holds', async () => {
    const { statusFor } = authenticator('cloud-run-iam')
    const ours = `Bearer ${strip(await sign())}`
    assert.equal(await statusFor([SERVERLESS, ours]), 200)
    assert.equal(await statusFor([SERVERLESS, ours], [AUTHORIZATION, `Bearer ${await sign(STRANGER)}`]), 200)
    assert.equal(await statusFor([SERVERLESS, `Bearer ${await sign()}`]), 200)
  })
})

describe('a header that carries no token, or more than one', () => {
  const malformed = (token: string): readonly (readonly [string, readonly string[]])[] => [
    ['empty', ['']],
    ['blank', [' \t ']],
    ['a scheme alone', ['Bearer']],
    ['a scheme and a blank', ['Bearer ']],
    ['of another scheme', [`Basic ${token}`]],
    ['of no scheme', [token]],
    ['two words', [`Bearer ${token} x`]],
    ['two tokens in one line', [`Bearer ${token}, Bearer ${token}`]],
    ['the same line twice', [`Bearer ${token}`, `Bearer ${token}`]],
    ['a line and an empty one', [`Bearer ${token}`, '']],
    ['an empty line and one', ['', `Bearer ${token}`]],
  ]

  for (const name of [AUTHORIZATION, SERVERLESS]) {
    test(`is refused by cloud-run-iam in ${name}, alone and beside a good one in the other`, async () => {
      const { statusFor } = authenticator('cloud-run-iam')
      const token = strip(await sign())
      const other = name === SERVERLESS ? AUTHORIZATION : SERVERLESS
      for (const [kind, values] of malformed(token)) {
        const lines = values.map((value): [string, string] => [name, value])
        assert.equal(await statusFor(...lines), 401, kind)
        assert.equal(await statusFor([other, `Bearer ${token}`], ...lines), 401, kind)
      }
    })
  }

  test('is refused by verify in Authorization', async () => {
    const { statusFor } = authenticator('verify')
    const token = await sign()
    for (const [kind, values] of malformed(token)) {
      assert.equal(await statusFor(...values.map((value): [string, string] => [AUTHORIZATION, value])), 401, kind)
    }
  })
})

test('with verify, Authorization alone counts: X-Serverless-Authorization neither helps nor harms', async () => {
  const { statusFor } = authenticator('verify')
  const ours = `Bearer ${await sign()}`
  assert.equal(await statusFor([SERVERLESS, ours]), 401)
  assert.equal(await statusFor([SERVERLESS, ours], [AUTHORIZATION, `Bearer ${await sign(STRANGER)}`]), 403)
  for (const other of ['', 'Basic x', `Bearer ${strip(await sign(STRANGER))}`]) {
    assert.equal(await statusFor([SERVERLESS, other], [AUTHORIZATION, ours]), 200)
  }
})
