import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, describe, test } from 'node:test'
import { ClientAssertionCredential } from '@azure/identity'
import { Compute } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { OUR_CREDENTIAL } from '../../local/entra.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { type Cloud, type CloudOverrides, callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

interface Request {
  readonly tenantId?: string
  readonly clientId?: string
  readonly scope?: string
  readonly assertion?: string
}

const answerSchema = z.object({
  error: z.string().optional(),
  error_description: z.string().optional(),
  error_codes: z.array(z.number()).optional(),
  correlation_id: z.string().optional(),
  error_uri: z.string().optional(),
})

type Answer = z.infer<typeof answerSchema> & { readonly status: number }

const cloud = await startCloud()
after(() => cloud.close())
afterEach(() => clearFaults(cloud.entra))

/** Microsoft's own credential, once, and Entra's last answer as it came over the wire. */
async function acquire(request: Request = {}, on: Cloud = cloud) {
  const answers: Answer[] = []
  const credential = new ClientAssertionCredential(
    request.tenantId ?? ENTRA.tenantId,
    request.clientId ?? ENTRA.clientId,
    async () => request.assertion ?? (await new Compute().fetchIdToken(ENTRA.assertionAudience)),
    {
      authorityHost: on.entra.url,
      disableInstanceDiscovery: true,
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [
        {
          position: 'perRetry',
          policy: {
            name: 'see',
            async sendRequest(sent, next) {
              const response = await next(sent)
              answers.push({ status: response.status, ...answerSchema.parse(JSON.parse(response.bodyAsText ?? '{}')) })
              return response
            },
          },
        },
      ],
    },
  )
  const token = await credential.getToken(request.scope ?? AZURE.scope).catch(() => undefined)
  return { token: token?.token, last: answers.at(-1) }
}

/** Asserts that the credential fails, and how Entra said no. */
async function assertRefused(request: Request, [aadsts, status, error]: Refusal, on: Cloud = cloud) {
  const { token, last } = await acquire(request, on)
  assert.equal(token, undefined)
  assert.deepEqual([last?.status, last?.error, last?.error_codes], [status, error, [aadsts]])
  const said = last?.error_description ?? ''
  assert.match(said, new RegExp(`^AADSTS${aadsts}: .* Trace ID: .* Correlation ID: .* Timestamp: `))
  return said
}

type Refusal = readonly [aadsts: number, status: number, error: string]

const UNKNOWN_ID = '00000000-1111-2222-3333-444444444444'
const SUBJECT_IS_EMAIL = [{ ...OUR_CREDENTIAL, subject: GOOGLE.serviceAccountEmail }]

const anIdToken =
  (audience: string = ENTRA.assertionAudience) =>
  () =>
    new Compute().fetchIdToken(audience)

const forged = async () => {
  const forger = await createSigningKey()
  return forger.sign(decodeJwt(await new Compute().fetchIdToken(ENTRA.assertionAudience)))
}

/** Signed for a stranger, and then made out to us. */
const altered = async () => {
  const [header, payload, signature] = (await new Compute().fetchIdToken(ENTRA.assertionAudience)).split('.')
  const claims = Buffer.from(payload ?? '', 'base64url')
    .toString()
    .replaceAll('somebody-else', GOOGLE.subject)
  return [header, Buffer.from(claims).toString('base64url'), signature].join('.')
}

test("Entra stand-in: Microsoft's own credential gets a token for the resource, by an assertion from the metadata server", async () => {
  const { token } = await acquire()
  const claims = decodeJwt(token ?? '')
  assert.equal(claims.iss, `https://sts.windows.net/${ENTRA.tenantId}/`)
  assert.equal(claims.aud, AZURE.resource)
  assert.deepEqual([claims['oid'], claims['appid'], claims['tid']], [ENTRA.objectId, ENTRA.clientId, ENTRA.tenantId])
  assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 3_599)
})

describe('Entra stand-in: an assertion is refused', () => {
  const otherIssuer = { metadata: { issuer: 'https://issuer.example' } }
  const presentedIssuer = /presented assertion issuer 'https:\/\/issuer\.example'/
  const presentedSubject = new RegExp(`presented assertion subject '${GOOGLE.subject}'`)
  const cases: Readonly<Record<string, readonly [CloudOverrides, () => Promise<string>, Refusal, RegExp?]>> = {
    'of another issuer': [otherIssuer, anIdToken(), [700211, 401, 'invalid_client'], presentedIssuer],
    'for another audience': [{}, anIdToken('api://elsewhere'), [700212, 401, 'invalid_client']],
    'by a credential that names the e-mail instead of the unique id': [
      { entra: { credentials: SUBJECT_IS_EMAIL } },
      anIdToken(),
      [700213, 401, 'invalid_client'],
      presentedSubject,
    ],
    'without a federated credential': [{ entra: { credentials: [] } }, anIdToken(), [70025, 401, 'invalid_client']],
    'signed with a key that Google does not publish': [{}, forged, [50013, 401, 'invalid_client']],
    'changed after it was signed': [
      { metadata: { subject: 'somebody-else' } },
      altered,
      [50013, 401, 'invalid_client'],
    ],
    'that is no JWT': [{}, async () => 'not-a-token', [50027, 400, 'invalid_request']],
  }
  for (const [what, [overrides, assertion, refusal, said = /./]] of Object.entries(cases)) {
    test(`${what}: AADSTS${refusal[0]}`, async () => {
      await using on = await startCloud(overrides)
      assert.match(await assertRefused({ assertion: await assertion() }, refusal, on), said)
    })
  }

  test('from the very second of its exp: AADSTS700024', async () => {
    const now = 1_800_000_000_000
    const entraAt = (later: number) => ({ dependencies: { now: () => now + later } })
    const metadata = { dependencies: { now: () => now } }
    await using before = await startCloud({ metadata, entra: entraAt(3_599_999) })
    assert.ok((await acquire({}, before)).token)
    await using after = await startCloud({ metadata, entra: entraAt(3_600_000) })
    const said = await assertRefused({}, [700024, 401, 'invalid_client'], after)
    assert.match(said, /expiry time of assertion 2027-01-15T09:00:00\.0000000Z/)
  })

  test('whose keys cannot be had: Entra says that its request for them failed, AADSTS50166', async () => {
    await using on = await startCloud()
    await placeFault(on.metadata, { kind: 'status', status: 500, match: '/certs' })
    await assertRefused({}, [50166, 400, 'invalid_request'], on)
  })
})

describe('Entra stand-in: a request is refused', () => {
  const cases: Readonly<Record<string, readonly [Request, Refusal]>> = {
    'of a client that the tenant does not know': [{ clientId: UNKNOWN_ID }, [700016, 400, 'unauthorized_client']],
    'for a scope without /.default': [{ scope: `${AZURE.resource}/read` }, [1002012, 400, 'invalid_scope']],
    'for two scopes': [{ scope: `${AZURE.scope} https://b.example/.default` }, [70011, 400, 'invalid_scope']],
    'for an unknown resource': [{ scope: 'https://elsewhere.example/.default' }, [500011, 400, 'invalid_resource']],
  }
  for (const [what, [request, refusal]] of Object.entries(cases)) {
    test(`${what}: AADSTS${refusal[0]}`, async () => {
      await assertRefused(request, refusal)
    })
  }

  test('of a tenant that it does not know: AADSTS90002, at discovery and at the token endpoint', async () => {
    const { token, last } = await acquire({ tenantId: UNKNOWN_ID })
    assert.equal(token, undefined)
    assert.deepEqual([last?.status, last?.error, last?.error_codes], [400, 'invalid_tenant', [90002]])
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    const direct = await fetch(`${cloud.entra.url}/${UNKNOWN_ID}/oauth2/v2.0/token`, { method: 'POST', body: form })
    assert.equal(answerSchema.parse(await direct.json()).error, 'invalid_request')
  })

  test('with the client request id in the headers and as the correlation id, from a header or from the form', async () => {
    const url = `${cloud.entra.url}/${ENTRA.tenantId}/oauth2/v2.0/token`
    const form = { grant_type: 'password' }
    for (const request of [
      { body: new URLSearchParams(form), headers: { 'client-request-id': 'c0ffee' } },
      { body: new URLSearchParams({ ...form, 'client-request-id': 'c0ffee' }) },
    ]) {
      const answer = await fetch(url, { method: 'POST', ...request })
      const body = answerSchema.parse(await answer.json())
      assert.deepEqual([answer.headers.get('client-request-id'), body.correlation_id], ['c0ffee', 'c0ffee'])
      assert.equal(body.error_uri, 'https://login.microsoftonline.com/error?code=70003')
    }
  })
})

test('Entra stand-in: a fault shows a named error with the headers asked for', async () => {
  const headers = { 'retry-after': '7' }
  await placeFault(cloud.entra, { kind: 'status', error: 'throttled', match: '/token', times: 1, headers })
  await assertRefused({}, [90055, 429, 'temporarily_unavailable'])
  assert.ok((await acquire()).token)
})

test('Entra stand-in: the log has each refusal by name and number, and no assertion', async () => {
  await acquire({ assertion: 'not-a-token' })
  const calls = await callsOf(cloud.entra, 'token')
  assert.deepEqual(calls.at(-1)?.detail, { error: 'malformed_assertion', aadsts: 50027 })
  assert.equal(JSON.stringify(calls).includes('not-a-token'), false)
})

test('Entra stand-in: another process trusts it by the CA that was written where it was asked for', async (t) => {
  await using on = await startCloud({ entra: { caPath: await aTemporaryFile(t, 'ca.pem') } })
  const script = "const { status } = await fetch(process.argv[1]); if (status !== 200) throw new Error('no keys')"
  const args = ['--input-type=module', '--eval', script, on.entra.keysUrl]
  const child = spawn(process.execPath, args, { env: on.env, stdio: 'inherit' })
  assert.deepEqual(await once(child, 'exit'), [0, null])
})
