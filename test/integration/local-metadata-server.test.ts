import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Compute, GoogleAuth, OAuth2Client } from 'google-auth-library'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { GOOGLE } from '../../local/identities.ts'
import { callsOf, placeFault, startCloud } from '../support/stand-ins.ts'

const AUDIENCE = 'api://AzureADTokenExchange'
const IDENTITY = '/computeMetadata/v1/instance/service-accounts/default/identity'
const flavor = { 'metadata-flavor': 'Google' }

test("Google's own library fetches an ID token, which the published keys verify", async () => {
  await using cloud = await startCloud()
  const token = await new Compute().fetchIdToken(AUDIENCE)
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(cloud.metadata.certsUrl)), {
    issuer: 'https://accounts.google.com',
    audience: AUDIENCE,
    subject: GOOGLE.subject,
  })
  assert.equal(payload['email'], GOOGLE.serviceAccountEmail)
  assert.equal(payload['email_verified'], true)
  assert.equal(payload['azp'], GOOGLE.subject)
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 3_600)
})

test("Google's own library verifies the token with the keys as they are published", async () => {
  await using cloud = await startCloud()
  const idToken = await new Compute().fetchIdToken(AUDIENCE)
  const client = new OAuth2Client({ endpoints: { oauth2FederatedSignonPemCertsUrl: cloud.metadata.pemCertsUrl } })
  const ticket = await client.verifyIdToken({ idToken, audience: AUDIENCE })
  assert.equal(ticket.getUserId(), GOOGLE.subject)
})

test("Google's own library finds the server, the project and the account through it", async () => {
  await using cloud = await startCloud()
  const auth = new GoogleAuth()
  assert.equal(await auth.getProjectId(), GOOGLE.projectId)
  assert.equal((await auth.getCredentials()).client_email, GOOGLE.serviceAccountEmail)
  assert.ok((await callsOf(cloud.metadata, 'metadata')).length > 0)
})

test('a request without Metadata-Flavor is forbidden, and every answer carries it', async () => {
  await using cloud = await startCloud()
  const refused = await fetch(`${cloud.metadata.url}/computeMetadata/v1/project/project-id`)
  assert.equal(refused.status, 403)
  const answer = await fetch(`${cloud.metadata.url}/computeMetadata/v1/instance/region`, { headers: flavor })
  assert.equal(answer.headers.get('metadata-flavor'), 'Google')
  assert.match(await answer.text(), /^projects\/\d+\/regions\/europe-west1$/)
})

test('an identity without an audience is a bad request', async () => {
  await using cloud = await startCloud()
  const answer = await fetch(`${cloud.metadata.url}${IDENTITY}?audience=`, { headers: flavor })
  assert.equal(answer.status, 400)
})

test('the log has the audience of a token, and never the token', async () => {
  await using cloud = await startCloud()
  const token = await new Compute().fetchIdToken(AUDIENCE)
  const calls = await callsOf(cloud.metadata, 'identity')
  assert.deepEqual(calls[0]?.detail, { audience: AUDIENCE })
  assert.equal(JSON.stringify(calls).includes(token), false)
})

test("Google's own library tries a 503 again, and the fault is spent", async () => {
  await using cloud = await startCloud()
  await placeFault(cloud.metadata, { kind: 'status', error: 'unavailable', times: 1 })
  await new Compute().fetchIdToken(AUDIENCE)
  const calls = await callsOf(cloud.metadata, 'identity')
  const answered = calls.map(({ status, detail }) => `${status} ${detail['fault']}`)
  assert.deepEqual(answered, ['503 unavailable', '200 undefined'])
})
