import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import { gcpMetadata } from 'google-auth-library'
import { type CloudRunOptions, startCloudRun, type Variable } from '../../local/cloud-run.ts'
import { startGooglePolicies } from '../../local/google-policies.ts'
import { startIamCredentials } from '../../local/iam-credentials.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import type { FileOrigin } from '../../shared/config/config.ts'
import { examine, failuresIn, marksOf } from '../support/doctor-run.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'

const key = await createSigningKey()
const cloud = await startCloud({ metadata: { key } })
const folder = await mkdtemp(join(tmpdir(), 'doctor-'))
const STORE = `sqlite:${join(folder, 'state.db')}`
after(async () => {
  await cloud.close()
  await rm(folder, { recursive: true })
})
afterEach(() => clearFaults(cloud.entra))

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

describe("the worker's identity, from elsewhere", () => {
  test('is impersonated, and shows its own claims', async () => {
    const iam = await startIamCredentials({ key })
    const steps = await examine(cloud, { STORE }, { serviceAccount }, { iamEndpoint: iam.url })
    const calls = await callsOf(iam, 'generateIdToken')
    await iam.close()
    assert.deepEqual(failuresIn(steps), [])
    assert.equal(steps[1]?.seen, `received: an ID token of ${serviceAccount}, by impersonation`)
    assert.match(steps[2]?.seen ?? '', new RegExp(`sub ${GOOGLE.subject}, .* email ${serviceAccount};`))
    assert.deepEqual(
      calls.map(({ detail }) => detail),
      [{ caller: serviceAccount, audience: ENTRA.assertionAudience }],
    )
  })

  test('without the right to impersonate fails, and the fix names the role and its resource', async () => {
    const iam = await startIamCredentials({ key, tokenCreators: [] })
    const [failed] = failuresIn(await examine(cloud, { STORE }, { serviceAccount }, { iamEndpoint: iam.url }))
    await iam.close()
    assert.equal(failed?.step, 'Google ID token')
    assert.equal(failed?.seen, 'Google answered 403 PERMISSION_DENIED for the service account')
    assert.match(
      failed?.fix ?? '',
      /roles\/iam\.serviceAccountOpenIdTokenCreator .* on the service account; .*worker_token_operators/,
    )
  })

  test('shows a clock that is 6 minutes fast, for its ID token is always fresh', async () => {
    const iam = await startIamCredentials({ key, dependencies: { now: () => Date.now() - 6 * 60_000 } })
    const dependencies = { iamEndpoint: iam.url }
    // Google's stand-ins have one clock: the caller's token is of the same time.
    const [failed] = failuresIn(await examine(cloud, { STORE }, { serviceAccount }, dependencies))
    await iam.close()
    assert.equal(failed?.step, 'ID token claims')
    assert.match(failed?.fix ?? '', /^This machine's clock is 6 min ahead of Google's/)
  })
})

describe('a live service', () => {
  const live = { project: GOOGLE.projectId, region: GOOGLE.region, name: 'worker' }
  const { env } = cloud
  const settings = { ...env, PUSH_AUTH: 'verify', PUSH_AUDIENCE: 'a', PUSH_SERVICE_ACCOUNT: 'b', STORE }
  const plain: readonly Variable[] = Object.entries(settings).map(([name, value]) => ({ name, value }))

  /** What the doctor says of a service on Cloud Run; its own settings would lead nowhere. */
  async function examineLive(
    options: Partial<CloudRunOptions> = {},
    of = live,
    tokenCreators?: readonly string[],
    file: FileOrigin = {},
  ) {
    const run = await startCloudRun({ service: 'worker', variables: plain, ...options })
    const name = `projects/${live.project}/locations/${live.region}/services/${live.name}`
    const google = await startGooglePolicies({ policies: { [name]: { 'roles/run.invoker': ['serviceAccount:b'] } } })
    const iam = await startIamCredentials({ key, ...(tokenCreators && { tokenCreators }) })
    const nowhere = { AZURE_TENANT_ID: 'nowhere', STORE: 'nowhere' }
    try {
      const endpoints = { iamEndpoint: iam.url, runEndpoint: run.url, policyEndpoint: google.url, file }
      return await examine(cloud, nowhere, { live: of }, endpoints)
    } finally {
      await google.close()
      await iam.close()
      await run.close()
    }
  }

  test('of a project that the settings file names may be anyone’s: it sends no token to a host that it allows', async () => {
    const variables = [...plain, { name: 'ALLOW_CUSTOM_HOSTS', value: 'true' }]
    const calls = () => Promise.all([cloud.entra, cloud.azure].map((standIn) => callsOf(standIn)))
    const before = await calls()
    const [failed, ...others] = failuresIn(
      await examineLive({ variables }, live, undefined, { fromFile: ['GOOGLE_CLOUD_PROJECT'] }),
    )
    assert.deepEqual([failed?.step, others, await calls()], ['settings', [], before])
    assert.match(failed?.fix ?? '', /AZURE_AUTHORITY_HOST is .*\n.*AZURE_OPENAI_ENDPOINT is /)
    const named = await examineLive({ variables })
    assert.deepEqual(failuresIn(named), [])
  })

  test('is looked at with its own settings, as its own account', async () => {
    const steps = await examineLive()
    assert.deepEqual(failuresIn(steps), [])
    assert.deepEqual(marksOf(steps).slice(0, 4), [
      '✓ live service',
      '✓ settings',
      '✓ Google ID token',
      '✓ ID token claims',
    ])
    assert.match(
      steps[0]?.seen ?? '',
      new RegExp(`^worker \\(worker-00007-abc\\) runs as ${serviceAccount}, with \\d+ plain`),
    )
    assert.match(steps[2]?.seen ?? '', /by impersonation$/)
    assert.deepEqual(marksOf(steps).slice(-2), CALLERS)
  })

  test('is checked by a login that cannot impersonate the worker: what it cannot check is reported, and no step fails', async () => {
    const steps = await examineLive({}, live, [])
    assert.deepEqual(failuresIn(steps), [])
    const marks = ['– Google ID token', '– ID token claims', '– Entra', `– Azure OpenAI ${AZURE.deployment}`]
    assert.deepEqual(marksOf(steps).slice(2, 6), marks)
    assert.match(
      steps[2]?.seen ?? '',
      /This login lacks roles\/iam\.serviceAccountOpenIdTokenCreator.*worker_token_operators/,
    )
    assert.deepEqual(marksOf(steps).slice(-2), CALLERS)
  })

  test('that gets its tokens by impersonation itself needs the role: without it the step fails', async () => {
    const variables = [...plain, { name: 'TOKEN_SOURCE', value: `impersonate:${serviceAccount}` }]
    const [failed] = failuresIn(await examineLive({ variables }, live, []))
    assert.equal(failed?.step, 'Google ID token')
  })

  test('without the check of callers accepts a forged token of the invoker: the step fails', async () => {
    const variables = plain.map((variable) =>
      variable.name === 'PUSH_AUTH' ? { name: variable.name, value: 'cloud-run-iam' } : variable,
    )
    const [failed, ...others] = failuresIn(await examineLive({ variables, invokerIamDisabled: true }))
    assert.deepEqual([failed?.step, others], ['grant: only pushes may call the service', []])
    assert.match(failed?.fix ?? '', /^gcloud run services update worker .* --invoker-iam-check$/)
  })

  test('with a setting from a secret: the step says so, and what is missing without it', async () => {
    const variables = plain.map((variable) =>
      variable.name === 'AZURE_CLIENT_ID' ? { name: variable.name, secret: 'client-id' } : variable,
    )
    const steps = await examineLive({ variables })
    assert.match(steps[0]?.seen ?? '', /not read, because they come from Secret Manager: AZURE_CLIENT_ID$/)
    const [failed] = failuresIn(steps)
    assert.deepEqual([failed?.step, failed?.fix?.startsWith('AZURE_CLIENT_ID')], ['settings', true])
  })

  for (const [what, options, of, seen, fix] of [
    ['that may not be looked at', { isOpen: false }, live, /403$/, /--role=roles\/run\.viewer\n/],
    [
      'that is not there',
      {},
      { ...live, name: 'unknown' },
      /has no service unknown$/,
      /gcloud run services list --project=promptbridge-local --region=europe-west1$/,
    ],
  ] as const) {
    test(`${what} is reported, and nothing else is checked`, async () => {
      const steps = await examineLive(options, of)
      assert.deepEqual(marksOf(steps), ['✗ live service', '– settings'])
      assert.match(steps[0]?.seen ?? '', seen)
      assert.match(steps[0]?.fix ?? '', fix)
    })
  }

  test('while Cloud Run is unavailable: the step says so', async () => {
    const run = await startCloudRun({ service: 'worker', variables: plain })
    await placeFault(run, { kind: 'status', error: 'unavailable' })
    const steps = await examine(cloud, {}, { live }, { runEndpoint: run.url })
    await run.close()
    assert.equal(steps[0]?.seen, 'Cloud Run answered 503')
  })
})

test('without a login no request goes to Google, and the process goes on', async () => {
  process.env['METADATA_SERVER_DETECTION'] = 'none'
  const steps = await examine(cloud, { STORE: 'firestore' })
  const skipped = ['– store', '– topics', '– push subscription', '– dead-letter subscription', '– sweep']
  assert.deepEqual(marksOf(steps).slice(-6), ['✗ Google login', ...skipped])
  assert.equal(failuresIn(steps)[0]?.fix, 'gcloud auth application-default login')
})

describe('with the login of a developer', () => {
  test('Google is not asked, and the other checks run', async () => {
    const token = 'not-a-jwt'
    const expires = Math.floor(Date.now() / 1_000) + 3_600
    const printed = JSON.stringify({ accessToken: token, expires_on: expires, tenant: ENTRA.tenantId })
    await writeFile(join(folder, 'az'), `#!/bin/sh\ncat <<'END'\n${printed}\nEND\n`)
    await chmod(join(folder, 'az'), 0o755)
    process.env['PATH'] = `${folder}:${before['PATH']}`
    const steps = await examine(cloud, { STORE, TOKEN_SOURCE: 'azure-cli', AZURE_CLIENT_ID: '' })
    assert.deepEqual(marksOf(steps).slice(0, 5), [
      '✓ settings',
      '– Google ID token',
      '– ID token claims',
      '✓ Entra',
      `✗ Azure OpenAI ${AZURE.deployment}`,
    ])
    assert.doesNotMatch(JSON.stringify(steps), /not-a-jwt/)
  })
})
