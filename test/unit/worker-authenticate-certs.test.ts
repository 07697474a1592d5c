import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { createSigningKey } from '../../local/signing-key.ts'
import { createPushAuthenticator } from '../../worker/http/authenticate.ts'
import { serveCerts } from '../support/certs-server.ts'

const START = Date.UTC(2026, 10, 24, 6)
const MINUTE_MS = 60_000
const EMAIL = 'push@contoso.iam.gserviceaccount.com'
const google = await createSigningKey()

/** Certificates, and the status of a push. The clock is the test's, for the library keeps Google's keys by it too. */
async function served(t: TestContext) {
  const server = await serveCerts(google.jwks)
  t.after(() => server.close())
  t.mock.timers.enable({ apis: ['Date'], now: START })
  const pushAuth = { mode: 'verify', audience: 'worker', serviceAccount: EMAIL } as const
  const authenticate = createPushAuthenticator({ pushAuth, certsUrl: server.url, onCloudRun: false, now: Date.now })
  const statusOf = async (token: string) => {
    const check = await authenticate(new Headers({ authorization: `Bearer ${token}` }))
    return check.ok ? 200 : check.status
  }
  return { server, statusOf }
}

function sign(lifeMs = 60 * MINUTE_MS): Promise<string> {
  const times = { iat: START / 1_000, exp: (START + lifeMs) / 1_000 }
  const claims = { iss: 'https://accounts.google.com', aud: 'worker', email: EMAIL, email_verified: true }
  return google.sign({ ...claims, ...times })
}

describe("Google's certificates", () => {
  test('are fetched once for a hundred pushes that arrive cold', async (t) => {
    const { server, statusOf } = await served(t)
    const tokens = await Promise.all(Array.from({ length: 100 }, (_, n) => sign(((n + 1) * MINUTE_MS) / 2)))
    assert.deepEqual(new Set(await Promise.all(tokens.map(statusOf))), new Set([200]))
    assert.equal(server.requests(), 1)
  })

  for (const [how, answer] of [
    ['are answered with 500', 'error'],
    ['are no JSON', 'garbage'],
    ['are no keys', 'no keys'],
    ['never come', 'hang'],
  ] as const) {
    test(`that ${how} are an internal error, and the push is answered 503`, async (t) => {
      const { server, statusOf } = await served(t)
      server.answerWith(answer)
      assert.equal(await statusOf(await sign()), 503)
      server.answerWith('keys')
      assert.equal(await statusOf(await sign()), 200)
    })
  }

  test('that cannot be fetched are an internal error as well', async (t) => {
    const { server, statusOf } = await served(t)
    await server.close()
    assert.equal(await statusOf(await sign()), 503)
  })
})

describe('a token that was verified', () => {
  test('is known again without the certificates, to the last millisecond of its life and no longer', async (t) => {
    const { server, statusOf } = await served(t)
    const token = await sign()
    assert.equal(await statusOf(token), 200)
    await server.close()
    t.mock.timers.setTime(START + 60 * MINUTE_MS - 1)
    assert.equal(await statusOf(token), 200)
    t.mock.timers.setTime(START + 60 * MINUTE_MS)
    assert.equal(await statusOf(token), 503)
  })

  test('does not vouch for another token of the same service account', async (t) => {
    const { server, statusOf } = await served(t)
    assert.equal(await statusOf(await sign()), 200)
    await server.close()
    t.mock.timers.setTime(START + 30 * MINUTE_MS)
    assert.equal(await statusOf(await sign(61 * MINUTE_MS)), 503)
  })

  test('that was refused is not remembered as good', async (t) => {
    const { statusOf } = await served(t)
    const token = await sign()
    const bad = `${token.slice(0, token.lastIndexOf('.'))}.AAAA`
    assert.deepEqual([await statusOf(bad), await statusOf(bad)], [401, 401])
  })
})
