import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ClientAssertionCredential } from '@azure/identity'
import { Compute } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { OUR_CREDENTIAL } from '../../local/entra.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { type Cloud, callsOf, placeFault, startCloud } from '../support/stand-ins.ts'

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

/** Microsoft's own credential, once, and Entra's last answer as it came over the wire. */
async function acquire(cloud: Cloud, request: Request = {}) {
  const answers: Answer[] = []
  const credential = new ClientAssertionCredential(
    request.tenantId ?? ENTRA.tenantId,
    request.clientId ?? ENTRA.clientId,
    async () => request.assertion ?? (await new Compute().fetchIdToken(ENTRA.assertionAudience)),
    {
      authorityHost: cloud.entra.url,
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
async function assertRefused(cloud: Cloud, request: Request, aadsts: number, status: number, error: string) {
  const { token, last } = await acquire(cloud, request)
  assert.equal(token, undefined)
  assert.deepEqual([last?.status, last?.error, last?.error_codes], [status, error, [aadsts]])
  assert.match(
    last?.error_description ?? '',
    new RegExp(`^AADSTS${aadsts}: .* Trace ID: .* Correlation ID: .* Timestamp: `),
  )
  return last
}

test("Microsoft's own credential gets a token for the resource, by an assertion from the metadata server", async () => {
  await using cloud = await startCloud()
  const { token } = await acquire(cloud)
  const claims = decodeJwt(token ?? '')
  assert.equal(claims.iss, `https://sts.windows.net/${ENTRA.tenantId}/`)
  assert.equal(claims.aud, AZURE.resource)
  assert.deepEqual([claims['oid'], claims['appid'], claims['tid']], [ENTRA.objectId, ENTRA.clientId, ENTRA.tenantId])
  assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 3_599)
})

test('an assertion of another issuer is AADSTS700211', async () => {
  await using cloud = await startCloud({ metadata: { issuer: 'https://issuer.example' } })
  const last = await assertRefused(cloud, {}, 700211, 401, 'invalid_client')
  assert.match(last?.error_description ?? '', /presented assertion issuer 'https:\/\/issuer\.example'/)
})

test('an assertion for another audience is AADSTS700212', async () => {
  await using cloud = await startCloud()
  const assertion = await new Compute().fetchIdToken('api://elsewhere')
  await assertRefused(cloud, { assertion }, 700212, 401, 'invalid_client')
})

test('a credential that names the e-mail instead of the unique id is AADSTS700213', async () => {
  const credentials = [{ ...OUR_CREDENTIAL, subject: GOOGLE.serviceAccountEmail }]
  await using cloud = await startCloud({ entra: { credentials } })
  const last = await assertRefused(cloud, {}, 700213, 401, 'invalid_client')
  assert.ok(last?.error_description?.includes(`presented assertion subject '${GOOGLE.subject}'`))
})

test('an app registration without a federated credential is AADSTS70025', async () => {
  await using cloud = await startCloud({ entra: { credentials: [] } })
  await assertRefused(cloud, {}, 70025, 401, 'invalid_client')
})

test('an assertion is expired at the very second of its exp: AADSTS700024', async () => {
  const now = 1_800_000_000_000
  const entraAt = (later: number) => ({ dependencies: { now: () => now + later } })
  const metadata = { dependencies: { now: () => now } }
  await using before = await startCloud({ metadata, entra: entraAt(3_599_999) })
  assert.ok((await acquire(before)).token)
  await using after = await startCloud({ metadata, entra: entraAt(3_600_000) })
  const last = await assertRefused(after, {}, 700024, 401, 'invalid_client')
  assert.match(last?.error_description ?? '', /expiry time of assertion 2027-01-15T09:00:00\.0000000Z/)
})

test('an assertion signed with a key that Google does not publish is AADSTS50013', async () => {
  await using cloud = await startCloud()
  const forger = await createSigningKey()
  const real = decodeJwt(await new Compute().fetchIdToken(ENTRA.assertionAudience))
  await assertRefused(cloud, { assertion: await forger.sign(real) }, 50013, 401, 'invalid_client')
})

test('an assertion whose claims were changed after it was signed is AADSTS50013', async () => {
  await using cloud = await startCloud({ metadata: { subject: 'somebody-else' } })
  const [header, payload, signature] = (await new Compute().fetchIdToken(ENTRA.assertionAudience)).split('.')
  const claims = Buffer.from(payload ?? '', 'base64url')
    .toString()
    .replaceAll('somebody-else', GOOGLE.subject)
  const assertion = [header, Buffer.from(claims).toString('base64url'), signature].join('.')
  await assertRefused(cloud, { assertion }, 50013, 401, 'invalid_client')
})

test('an assertion that is no JWT is AADSTS50027', async () => {
  await using cloud = await startCloud()
  await assertRefused(cloud, { assertion: 'not-a-token' }, 50027, 400, 'invalid_request')
})

test('a client that the tenant does not know is AADSTS700016', async () => {
  await using cloud = await startCloud()
  const clientId = '00000000-1111-2222-3333-444444444444'
  await assertRefused(cloud, { clientId }, 700016, 400, 'unauthorized_client')
})

test('a tenant that Entra does not know is AADSTS90002, at discovery and at the token endpoint', async () => {
  await using cloud = await startCloud()
  const tenantId = '00000000-1111-2222-3333-444444444444'
  const { token, last } = await acquire(cloud, { tenantId })
  assert.equal(token, undefined)
  assert.deepEqual([last?.status, last?.error, last?.error_codes], [400, 'invalid_tenant', [90002]])
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  const direct = await fetch(`${cloud.entra.url}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })
  assert.equal(answerSchema.parse(await direct.json()).error, 'invalid_request')
})

test('a scope without /.default is AADSTS1002012, none is 70011, an unknown resource is 500011', async () => {
  await using cloud = await startCloud()
  await assertRefused(cloud, { scope: 'https://cognitiveservices.azure.com/read' }, 1002012, 400, 'invalid_scope')
  await assertRefused(cloud, { scope: `${AZURE.scope} https://b.example/.default` }, 70011, 400, 'invalid_scope')
  await assertRefused(cloud, { scope: 'https://elsewhere.example/.default' }, 500011, 400, 'invalid_resource')
})

test('the client request id comes back in the headers and as the correlation id, from a header or from the form', async () => {
  await using cloud = await startCloud()
  const url = `${cloud.entra.url}/${ENTRA.tenantId}/oauth2/v2.0/token`
  const form = { grant_type: 'password' }
  const requests = [
    { body: new URLSearchParams(form), headers: { 'client-request-id': 'c0ffee' } },
    { body: new URLSearchParams({ ...form, 'client-request-id': 'c0ffee' }) },
  ]
  for (const request of requests) {
    const answer = await fetch(url, { method: 'POST', ...request })
    const body = answerSchema.parse(await answer.json())
    assert.deepEqual([answer.headers.get('client-request-id'), body.correlation_id], ['c0ffee', 'c0ffee'])
    assert.equal(body.error_uri, 'https://login.microsoftonline.com/error?code=70003')
  }
})

test("when the issuer's keys cannot be had, Entra says that its request for them failed", async () => {
  await using cloud = await startCloud()
  await placeFault(cloud.metadata, { kind: 'status', status: 500, match: '/certs' })
  await assertRefused(cloud, {}, 50166, 400, 'invalid_request')
})

test('a fault shows a named error with the headers asked for', async () => {
  await using cloud = await startCloud()
  const headers = { 'retry-after': '7' }
  await placeFault(cloud.entra, { kind: 'status', error: 'throttled', match: '/token', times: 1, headers })
  await assertRefused(cloud, {}, 90055, 429, 'temporarily_unavailable')
  assert.ok((await acquire(cloud)).token)
})

test('the log has each refusal by name and number, and no assertion', async () => {
  await using cloud = await startCloud()
  await acquire(cloud, { assertion: 'not-a-token' })
  const calls = await callsOf(cloud.entra, 'token')
  assert.deepEqual(calls[0]?.detail, { error: 'malformed_assertion', aadsts: 50027 })
  assert.equal(JSON.stringify(calls).includes('not-a-token'), false)
})

test('another process trusts Entra by the CA that was written where it was asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'entra-'))
  await using cloud = await startCloud({ entra: { caPath: join(folder, 'ca.pem') } })
  const script = "const { status } = await fetch(process.argv[1]); if (status !== 200) throw new Error('no keys')"
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, cloud.entra.keysUrl], {
    env: cloud.env,
    stdio: 'inherit',
  })
  assert.deepEqual(await once(child, 'exit'), [0, null])
  await rm(folder, { recursive: true })
})
