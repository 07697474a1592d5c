import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { gcpMetadata } from 'google-auth-library'
import { type CloudRunOptions, startCloudRun, type Variable } from '../../local/cloud-run.ts'
import { startGooglePolicies } from '../../local/google-policies.ts'
import { type IamCredentialsOptions, startIamCredentials } from '../../local/iam-credentials.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import type { FileOrigin } from '../../shared/config/config.ts'
import { assertFails, failuresIn, marksOf, openDoctor } from '../support/doctor-run.ts'
import { callsOf, placeFault } from '../support/stand-ins.ts'

const key = await createSigningKey()
const { cloud, folder, STORE, onDoctor } = await openDoctor({ metadata: { key } })

/** The developer who runs the tests may have own credentials. */
const VARIABLES = ['PATH', 'HOME', 'GOOGLE_APPLICATION_CREDENTIALS', 'METADATA_SERVER_DETECTION']
let before: NodeJS.ProcessEnv
beforeEach(() => {
  before = { ...process.env }
  process.env['HOME'] = folder
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  gcpMetadata.resetIsAvailableCache()
})
afterEach(() => {
  for (const name of VARIABLES) {
    if (before[name] === undefined) delete process.env[name]
    else process.env[name] = before[name]
  }
})

const serviceAccount = GOOGLE.serviceAccountEmail
const CALLERS = ['✓ grant: pushes may call the service', '✓ grant: only pushes may call the service']

describe("doctor: the worker's identity, from elsewhere", () => {
  /** What the doctor says of an account that it impersonates at Google, and the calls there. */
  async function onImpersonation(over: Partial<IamCredentialsOptions> = {}) {
    const iam = await startIamCredentials({ key, ...over })
    const steps = await onDoctor({}, { serviceAccount }, { iamEndpoint: iam.url })
    const calls = await callsOf(iam, 'generateIdToken')
    await iam.close()
    return { steps, calls: calls.map(({ detail }) => detail) }
  }

  test('is impersonated, and shows its own claims', async () => {
    const { steps, calls } = await onImpersonation()
    assert.deepEqual(failuresIn(steps), [])
    assert.equal(steps[1]?.seen, `received: an ID token of ${serviceAccount}, by impersonation`)
    assert.match(steps[2]?.seen ?? '', new RegExp(`sub ${GOOGLE.subject}, .* email ${serviceAccount};`))
    assert.deepEqual(calls, [{ caller: serviceAccount, audience: ENTRA.assertionAudience }])
  })

  test('without the right to impersonate fails, and the fix names the role and its resource', async () => {
    const { steps } = await onImpersonation({ tokenCreators: [] })
    assertFails(steps, {
      step: 'Google ID token',
      seen: 'Google answered 403 PERMISSION_DENIED for the service account',
      fix: /roles\/iam\.serviceAccountOpenIdTokenCreator .* on the service account; .*worker_token_operators/,
    })
  })

  test('shows a clock that is 6 minutes fast, for its ID token is always fresh', async () => {
    // Google's stand-ins have one clock: the caller's token is of the same time.
    const { steps } = await onImpersonation({ dependencies: { now: () => Date.now() - 6 * 60_000 } })
    assertFails(steps, { step: 'ID token claims', fix: /^This machine's clock is 6 min ahead of Google's/ })
  })
})

describe('doctor: a live service', () => {
  const live = { project: GOOGLE.projectId, region: GOOGLE.region, name: 'worker' }
  const { env } = cloud
  const settings = { ...env, PUSH_AUTH: 'verify', PUSH_AUDIENCE: 'a', PUSH_SERVICE_ACCOUNT: 'b', STORE }
  const plain: readonly Variable[] = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const withVariable = (variable: Variable) => ({
    variables: [...plain.filter(({ name }) => name !== variable.name), variable],
  })

  interface Circumstances extends Partial<CloudRunOptions> {
    readonly of?: typeof live
    readonly tokenCreators?: readonly string[]
    readonly file?: FileOrigin
  }

  /** What the doctor says of a service on Cloud Run; its own settings would lead nowhere. */
  async function onLive({ of = live, tokenCreators, file = {}, ...options }: Circumstances = {}) {
    const run = await startCloudRun({ service: 'worker', variables: plain, ...options })
    const name = `projects/${live.project}/locations/${live.region}/services/${live.name}`
    const google = await startGooglePolicies({ policies: { [name]: { 'roles/run.invoker': ['serviceAccount:b'] } } })
    const iam = await startIamCredentials({ key, ...(tokenCreators && { tokenCreators }) })
    const nowhere = { AZURE_TENANT_ID: 'nowhere', STORE: 'nowhere' }
    try {
      const endpoints = { iamEndpoint: iam.url, runEndpoint: run.url, policyEndpoint: google.url, file }
      return await onDoctor(nowhere, { live: of }, endpoints)
    } finally {
      await google.close()
      await iam.close()
      await run.close()
    }
  }

  test('of a project that the settings file names may be anyone’s: it sends no token to a host that it allows', async () => {
    const anyHost = withVariable({ name: 'ALLOW_CUSTOM_HOSTS', value: 'true' })
    const calls = () => Promise.all([cloud.entra, cloud.azure].map((standIn) => callsOf(standIn)))
    const before = await calls()
    const steps = await onLive({ ...anyHost, file: { fromFile: ['GOOGLE_CLOUD_PROJECT'] } })
    assert.deepEqual([failuresIn(steps).length, await calls()], [1, before])
    assertFails(steps, { step: 'settings', fix: /AZURE_AUTHORITY_HOST is .*\n.*AZURE_OPENAI_ENDPOINT is / })
    assert.deepEqual(failuresIn(await onLive(anyHost)), [])
  })

  test('is looked at with its own settings, as its own account', async () => {
    const steps = await onLive()
    assert.deepEqual(failuresIn(steps), [])
    const marks = ['✓ live service', '✓ settings', '✓ Google ID token', '✓ ID token claims']
    assert.deepEqual(marksOf(steps).slice(0, 4), marks)
    assert.deepEqual(marksOf(steps).slice(-2), CALLERS)
    const account = new RegExp(`^worker \\(worker-00007-abc\\) runs as ${serviceAccount}, with \\d+ plain`)
    assert.match(steps[0]?.seen ?? '', account)
    assert.match(steps[2]?.seen ?? '', /by impersonation$/)
  })

  test('is checked by a login that cannot impersonate the worker: what it cannot check is reported, and no step fails', async () => {
    const steps = await onLive({ tokenCreators: [] })
    assert.deepEqual(failuresIn(steps), [])
    const marks = ['– Google ID token', '– ID token claims', '– Entra', `– Azure OpenAI ${AZURE.deployment}`]
    assert.deepEqual(marksOf(steps).slice(2, 6), marks)
    assert.deepEqual(marksOf(steps).slice(-2), CALLERS)
    const role = /This login lacks roles\/iam\.serviceAccountOpenIdTokenCreator.*worker_token_operators/
    assert.match(steps[2]?.seen ?? '', role)
  })

  test('that gets its tokens by impersonation itself needs the role: without it the step fails', async () => {
    const impersonating = withVariable({ name: 'TOKEN_SOURCE', value: `impersonate:${serviceAccount}` })
    assertFails(await onLive({ ...impersonating, tokenCreators: [] }), { step: 'Google ID token' })
  })

  test('without the check of callers accepts a forged token of the invoker: the step fails', async () => {
    const trusting = withVariable({ name: 'PUSH_AUTH', value: 'cloud-run-iam' })
    const steps = await onLive({ ...trusting, invokerIamDisabled: true })
    assert.equal(failuresIn(steps).length, 1)
    const fix = /^gcloud run services update worker .* --invoker-iam-check$/
    assertFails(steps, { step: 'grant: only pushes may call the service', fix })
  })

  test('with a setting from a secret: the step says so, and what is missing without it', async () => {
    const steps = await onLive(withVariable({ name: 'AZURE_CLIENT_ID', secret: 'client-id' }))
    assert.match(steps[0]?.seen ?? '', /not read, because they come from Secret Manager: AZURE_CLIENT_ID$/)
    assertFails(steps, { step: 'settings', fix: /^AZURE_CLIENT_ID/ })
  })

  test('with a PRICES_FILE: no file of this machine is read in its place', async () => {
    const step = (await onLive(withVariable({ name: 'PRICES_FILE', value: '/etc/passwd' })))[2]
    assert.deepEqual([step?.step, step?.ok, step?.fix], ['prices', null, null])
    assert.match(step?.seen ?? '', /Cloud Run service worker is \/etc\/passwd, a file of its image/)
  })

  const elsewhere = { ...live, name: 'unknown' }
  const list = /gcloud run services list --project=promptbridge-local --region=europe-west1$/
  for (const [what, on, seen, fix] of [
    ['that may not be looked at', { isOpen: false }, /403$/, /--role=roles\/run\.viewer\n/],
    ['that is not there', { of: elsewhere }, /has no service unknown$/, list],
  ] as const) {
    test(`${what} is reported, and nothing else is checked`, async () => {
      const steps = await onLive(on)
      assert.deepEqual(marksOf(steps), ['✗ live service', '– settings'])
      assertFails(steps, { seen, fix })
    })
  }

  test('while Cloud Run is unavailable: the step says so', async () => {
    const run = await startCloudRun({ service: 'worker', variables: plain })
    await placeFault(run, { kind: 'status', error: 'unavailable' })
    const steps = await onDoctor({}, { live }, { runEndpoint: run.url })
    await run.close()
    assert.equal(steps[0]?.seen, 'Cloud Run answered 503')
  })
})

test('doctor: without a login no request goes to Google, and the process goes on', async () => {
  process.env['METADATA_SERVER_DETECTION'] = 'none'
  const steps = await onDoctor({ STORE: 'firestore' })
  const skipped = ['– store', '– topics', '– push subscription', '– dead-letter subscription', '– sweep']
  assert.deepEqual(marksOf(steps).slice(-6), ['✗ Google login', ...skipped])
  assertFails(steps, { fix: 'gcloud auth application-default login' })
})

test('doctor: with the login of a developer Google is not asked, and the other checks run', async () => {
  const expires = Math.floor(Date.now() / 1_000) + 3_600
  const printed = JSON.stringify({ accessToken: 'not-a-jwt', expires_on: expires, tenant: ENTRA.tenantId })
  await writeFile(join(folder, 'az'), `#!/bin/sh\ncat <<'END'\n${printed}\nEND\n`)
  await chmod(join(folder, 'az'), 0o755)
  process.env['PATH'] = `${folder}:${before['PATH']}`
  const steps = await onDoctor({ TOKEN_SOURCE: 'azure-cli', AZURE_CLIENT_ID: '' })
  const marks = [
    '✓ settings',
    '– Google ID token',
    '– ID token claims',
    '✓ Entra',
    `✗ Azure OpenAI ${AZURE.deployment}`,
  ]
  assert.deepEqual(marksOf(steps).slice(0, 5), marks)
  assert.doesNotMatch(JSON.stringify(steps), /not-a-jwt/)
})
