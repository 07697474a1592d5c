import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import type { TokenCredential } from '@azure/identity'
import { decodeJwt } from 'jose'
import { AZURE, ENTRA } from '../../local/identities.ts'
import { type AzureIdentity, createAzureCredential } from '../../shared/client/index.ts'
import { STORAGE } from '../support/blob-server.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { tokenErrorOf } from '../support/token-errors.ts'

const cloud = await startCloud({ entra: { resources: [AZURE.resource, STORAGE] } })
after(() => cloud.close())
afterEach(() => clearFaults(cloud.entra))

const SCOPE = `${STORAGE}/.default`
const { tenantId, clientId } = ENTRA
const us: AzureIdentity = { tenantId, clientId, authorityHost: cloud.entra.url }

const count = async () =>
  [(await callsOf(cloud.metadata, 'identity')).length, (await callsOf(cloud.entra, 'token')).length] as const

describe('a credential for any Azure service', () => {
  test('gives what clients of the Azure SDK expect of theirs', async () => {
    const credential: TokenCredential = createAzureCredential(us)
    const given = await credential.getToken([SCOPE], { abortSignal: AbortSignal.timeout(30_000) })
    const { aud, exp } = decodeJwt(given?.token ?? '')
    assert.equal(aud, STORAGE)
    assert.ok(Math.abs((given?.expiresOnTimestamp ?? 0) - Number(exp) * 1_000) <= 2_000)
  })

  test('asks Google once, and Entra once for each scope, however many ask', async () => {
    const credential = createAzureCredential(us)
    const [gets, posts] = await count()
    const scopes = Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? SCOPE : AZURE.scope))
    const tokens = await Promise.all(scopes.map((scope) => credential.getToken(scope)))
    assert.equal(new Set(tokens.map(({ token }) => token)).size, 2)
    assert.deepEqual(await count(), [gets + 1, posts + 2])
  })

  test('ends when its caller does, and still has the token for the next', async () => {
    const credential = createAzureCredential(us)
    await placeFault(cloud.entra, { kind: 'delay', ms: 500, match: '/token', times: 1 })
    const caller = new AbortController()
    const asked = credential.getToken(SCOPE, { abortSignal: caller.signal })
    const next = credential.getToken(SCOPE)
    const reason = new Error('the caller has stopped waiting')
    caller.abort(reason)
    await assert.rejects(asked, reason)
    assert.ok((await next).token)
  })

  test('says who failed, and how to fix it', async () => {
    await placeFault(cloud.entra, { kind: 'status', error: 'unknown_client', headers: { 'retry-after': '60' } })
    const { leg, details } = await tokenErrorOf(createAzureCredential(us).getToken(SCOPE))
    assert.deepEqual([leg, details.aadsts], ['entra_exchange', [700_016]])
    assert.match(details.hint ?? '', /AZURE_CLIENT_ID/)
  })

  for (const [what, wrong, named] of [
    ['a client id that is no UUID', { ...us, clientId: 'my-app' }, /clientId/],
    ['no client id', { tenantId }, /clientId/],
    ['an authority without TLS', { ...us, authorityHost: 'http://127.0.0.1' }, /authorityHost/],
    ['an account that cannot be impersonated', { ...us, tokenSource: 'impersonate:me' }, /tokenSource/],
  ] as const) {
    test(`refuses ${what} before anything is asked`, () => {
      assert.throws(() => createAzureCredential(wrong), named)
    })
  }

  test('needs no client id with the Azure CLI', () => {
    assert.ok(createAzureCredential({ tenantId, tokenSource: 'azure-cli' }))
  })
})
