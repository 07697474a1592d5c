import assert from 'node:assert/strict'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { OUR_CREDENTIAL } from '../../local/entra.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { openSqlite } from '../../shared/lib/sqlite.ts'
import { assertFails, examine, failuresIn, marksOf, openDoctor } from '../support/doctor-run.ts'
import { startRecordingModel } from '../support/recording-model.ts'
import { type CloudOverrides, callsOf, placeFault, startCloud } from '../support/stand-ins.ts'

const { cloud, folder, STORE, onDoctor } = await openDoctor()

const HEALTHY = [
  '✓ settings',
  '✓ Google ID token',
  '✓ ID token claims',
  '✓ Entra',
  `✓ Azure OpenAI ${AZURE.deployment}`,
  '✓ store',
  '– queue',
]
const azureSeen = (steps: Awaited<ReturnType<typeof onDoctor>>) =>
  steps.find(({ step }) => step === `Azure OpenAI ${AZURE.deployment}`)?.seen ?? ''
const AFTER_AZURE = HEALTHY.slice(-2)

describe('doctor: a healthy set-up', () => {
  test('has a ✓ at each step, in the order of the way, and costs one call at Google and one at Entra', async () => {
    const calls = async () => [
      (await callsOf(cloud.metadata, 'identity')).length,
      (await callsOf(cloud.entra, 'token')).length,
    ]
    const before = await calls()
    assert.deepEqual(marksOf(await onDoctor()), HEALTHY)
    const once = before.map((n) => n + 1)
    assert.deepEqual(await calls(), once)
  })

  test('shows the live claims beside what Entra should hold', async () => {
    const steps = await onDoctor({}, {}, { now: () => Date.now() + 2_500 })
    const { seen = '', expected } = steps.find(({ step }) => step === 'ID token claims') ?? {}
    const { issuer, subject, serviceAccountEmail } = GOOGLE
    const { clientId, assertionAudience } = ENTRA
    const claims = `iss ${issuer}, sub ${subject}, aud ${assertionAudience}, email ${serviceAccountEmail}; issued `
    assert.ok(seen.startsWith(claims), seen)
    const [, ago] = /; issued (\d+) s ago by this clock, valid for 60 min$/.exec(seen) ?? []
    assert.ok(Number(ago) >= 2, seen)
    assert.equal(
      expected,
      `in Entra, the federated credential of application ${clientId}: Issuer = ${issuer}, Subject = ${subject} (the unique id, not the e-mail), Audience = ${assertionAudience}`,
    )
  })

  test('costs nothing at Azure: each deployment is asked once, and no call is billed', async () => {
    const before = (await callsOf(cloud.azure)).length
    const names = [AZURE.deployment, AZURE.embeddingDeployment]
    const endpoint = cloud.azure.url
    const DEPLOYMENTS = JSON.stringify(names.map((name) => ({ model: name, endpoint, deployment: name })))
    const steps = await onDoctor({ DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' })
    assert.deepEqual(failuresIn(steps), [])
    const calls = (await callsOf(cloud.azure)).slice(before)
    const answered = calls.map(({ status, detail }) => `${status} ${detail['error']}, billed: ${detail['billed']}`)
    assert.deepEqual(answered, ['400 invalid_body, billed: false', '400 operation_not_supported, billed: false'])
  })

  test('is the same on a dated API version', async () => {
    assert.deepEqual(marksOf(await onDoctor({ OPENAI_API_VERSION: '2024-10-21' })), HEALTHY)
  })

  test('is one where the quota is used up: a 429 proves that the token was accepted', async () => {
    await placeFault(cloud.azure, { kind: 'status', error: 'call_rate_limit' })
    const steps = await onDoctor()
    assert.deepEqual(marksOf(steps), HEALTHY)
    assert.match(azureSeen(steps), /; the deployment's quota is used up for now$/)
  })

  test('says that Azure has no capacity, and what it allows where that is less than DEPLOYMENTS says', async () => {
    const { deployment } = AZURE
    const DEPLOYMENTS = JSON.stringify([{ model: deployment, endpoint: cloud.azure.url, deployment, tpm: 50_000 }])
    const headers = { 'x-ratelimit-limit-tokens': '20000' }
    await placeFault(cloud.azure, { kind: 'status', error: 'peak_load', headers })
    const steps = await onDoctor({ DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' })
    assert.deepEqual(marksOf(steps), HEALTHY)
    assert.match(
      azureSeen(steps),
      /; Azure has no capacity .*; Azure allows 20,000 of 50,000 tokens a minute now, less than/,
    )
  })
})

/** What is set wrong, on Azure's side or in the settings; the one step that fails; and how to fix it. */
interface Misconfiguration {
  readonly cloud?: CloudOverrides
  readonly settings?: Readonly<Record<string, string>>
  readonly fails: string
  readonly fix: RegExp
}

const credential = (wrong: Partial<typeof OUR_CREDENTIAL>) => ({
  entra: { credentials: [{ ...OUR_CREDENTIAL, ...wrong }] },
})
const AZURE_STEP = `Azure OpenAI ${AZURE.deployment}`
const OTHER_ID = '11111111-2222-4333-8444-555555555555'

const misconfigurations: Readonly<Record<string, Misconfiguration>> = {
  'the e-mail for the subject': {
    cloud: credential({ subject: GOOGLE.serviceAccountEmail }),
    fails: 'Entra',
    fix: new RegExp(`^Set Subject .* of application ${ENTRA.clientId} to ${GOOGLE.subject} \\(the unique id`),
  },
  'another client': {
    settings: { AZURE_CLIENT_ID: OTHER_ID },
    fails: 'Entra',
    fix: new RegExp(`has no application ${OTHER_ID}\\. Set AZURE_CLIENT_ID`),
  },
  'another cloud': {
    settings: { AZURE_CLOUD: 'us-government' },
    fails: 'Entra',
    fix: /cognitiveservices\.azure\.us.*cognitiveservices\.azure\.com\/\.default \(public\)/,
  },
  'no role': {
    cloud: { azure: { principals: [] } },
    fails: AZURE_STEP,
    fix: new RegExp(`^Give the app registration ${ENTRA.clientId} the role "Cognitive Services OpenAI User"`),
  },
  'a resource of another tenant': {
    cloud: { azure: { tenantId: OTHER_ID } },
    fails: AZURE_STEP,
    fix: /^The token is of tenant .* Set AZURE_TENANT_ID to the tenant of the resource/,
  },
  'a deployment that is not there': {
    settings: { AZURE_OPENAI_DEPLOYMENT: 'gpt-nowhere' },
    fails: 'Azure OpenAI gpt-nowhere',
    fix: /^Create the deployment, or correct its name in AZURE_OPENAI_DEPLOYMENT/,
  },
  'an API version that is not there': {
    settings: { OPENAI_API_VERSION: '2019-01-01' },
    fails: AZURE_STEP,
    fix: /Correct OPENAI_API_VERSION/,
  },
  'an endpoint that does not answer': {
    settings: { AZURE_OPENAI_ENDPOINT: `http://127.0.0.1:${await freePort()}` },
    fails: AZURE_STEP,
    fix: /^Nothing answers at http:\/\/127\.0\.0\.1:\d+\. Correct AZURE_OPENAI_ENDPOINT/,
  },
  'no service account': {
    cloud: { metadata: { hasServiceAccount: false } },
    fails: 'Google ID token',
    fix: /attach one to the service \(gcloud run services update SERVICE --service-account=EMAIL\)/,
  },
  'something else for the metadata server': {
    cloud: { metadata: { audience: 'https://somewhere.else' } },
    fails: 'ID token claims',
    fix: /another audience than AZURE_FEDERATED_AUDIENCE.*GCE_METADATA_HOST/,
  },
  'a clock that is 65 minutes fast': {
    cloud: { metadata: { dependencies: { now: () => Date.now() - 65 * 60_000 } } },
    fails: 'ID token claims',
    fix: /^This machine's clock is 65 min ahead of Google's/,
  },
  'a clock that is 6 minutes slow': {
    cloud: { metadata: { dependencies: { now: () => Date.now() + 6 * 60_000 } } },
    fails: 'ID token claims',
    fix: /^This machine's clock is 6 min behind Google's/,
  },
}

describe('doctor: a wrong setting fails at its step, and its fix is shown', () => {
  for (const [what, { cloud: overrides, settings, fails, fix }] of Object.entries(misconfigurations)) {
    test(what, async () => {
      await using broken = await startCloud(overrides)
      const steps = await examine(broken, { STORE, ...settings })
      assertFails(steps, { step: fails, fix })
      assert.notEqual(failuresIn(steps)[0]?.expected, null)
      // What does not depend on it is looked at all the same.
      assert.deepEqual(marksOf(steps).slice(-2), AFTER_AZURE)
    })
  }
})

describe('doctor: a fault of the resource that Azure answers with fails at its step, and its fix is shown', () => {
  for (const [error, seen, fix] of [
    ['network_rules', /403 403, .*from this network/, /network rules.*Cloud NAT/],
    ['no_custom_subdomain', /400 BadRequest, /, /Give the resource a custom subdomain/],
    ['no_resource_id', /400 Request is badly formated, /, /Give the resource a custom subdomain/],
    ['data_action_missing', /PermissionDenied: Microsoft/, /missing: Microsoft\.CognitiveServices\/accounts\/OpenAI\//],
    ['invalid_url', /404 invalid_request_error, .*nothing at this address/, /Correct OPENAI_API_VERSION/],
    ['unavailable', /503, Azure OpenAI cannot serve requests now/, /azure\.status\.microsoft/],
  ] as const) {
    test(error, async () => {
      await placeFault(cloud.azure, { kind: 'status', error })
      assertFails(await onDoctor(), { step: AZURE_STEP, seen, fix })
    })
  }

  test('a redirect', async () => {
    await using moved = await startRecordingModel('', 307, { location: `${cloud.azure.url}/elsewhere` })
    const fix = /redirects to 127\.0\.0\.1:\d+\. Nothing was sent there/
    assertFails(await onDoctor({ AZURE_OPENAI_ENDPOINT: moved.url }), { seen: /307 redirect, /, fix })
  })

  test('a 400 of a gateway, which is no proof that the service lets the worker in', async () => {
    await using gateway = await startRecordingModel('{"statusCode":400,"message":"Bad header."}', 400)
    assertFails(await onDoctor({ AZURE_OPENAI_ENDPOINT: gateway.url }), { seen: /: 400, / })
  })
})

test('doctor: a step after a failed one is skipped, and says why', async () => {
  await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/token' })
  const steps = await onDoctor()
  assert.deepEqual(marksOf(steps), [...HEALTHY.slice(0, 3), '✗ Entra', `– ${AZURE_STEP}`, ...AFTER_AZURE])
  assert.match(steps[4]?.seen ?? '', /there is no token$/)
})

describe('doctor: settings', () => {
  test('that are wrong are all listed, and the store that they name is still checked', async () => {
    const steps = await onDoctor({ AZURE_CLIENT_ID: 'not-a-uuid', MAX_ATTEMPTS: '0', AZURE_TENANT_ID: '' })
    const skipped = ['– Google ID token', '– ID token claims', '– Entra', '– Azure OpenAI']
    assert.deepEqual(marksOf(steps), ['✗ settings', ...skipped, ...AFTER_AZURE])
    const problems = steps[0]?.fix?.split('\n').map((line) => line.split(/:| /, 1)[0])
    assert.deepEqual(problems?.toSorted(), ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'MAX_ATTEMPTS'])
  })

  test('with an API key beside them fail, and the other checks run without it', async () => {
    const steps = await onDoctor({ AZURE_OPENAI_API_KEY: 'canary-key' })
    assert.deepEqual(marksOf(steps), ['✗ settings', ...HEALTHY.slice(1)])
    assert.match(steps[0]?.fix ?? '', /^AZURE_OPENAI_API_KEY is set: .* Unset it\.$/)
    assert.doesNotMatch(JSON.stringify(steps), /canary-key/)
  })

  test('that name no store leave nothing to check', async () => {
    const skipped = ['– store', '– topics', '– push subscription', '– dead-letter subscription', '– sweep']
    assert.deepEqual(marksOf(await onDoctor({ STORE: 'postgres' })).slice(-5), skipped)
  })
})

describe('doctor: PRICES_FILE', () => {
  const price = { model: 'gpt-4o', from: '2026-01-01', input: 1, output: 4, source: 'a list', asOf: '2026-02-02' }
  const onPrices = async (text: string | undefined, settings = {}) => {
    const file = join(folder, text === undefined ? 'no-prices.json' : 'prices.json')
    if (text !== undefined) await writeFile(file, text)
    return onDoctor({ PRICES_FILE: file, ...settings })
  }

  test('that is a valid table passes', async () => {
    const steps = await onPrices(JSON.stringify({ prices: [price] }))
    assert.deepEqual(marksOf(steps), ['✓ settings', '✓ prices', ...HEALTHY.slice(1)])
  })

  for (const [what, text, fix] of [
    ['is missing', undefined, /PRICES_FILE: .+no-prices\.json cannot be read/],
    ['is no JSON', '{', /PRICES_FILE: .+prices\.json is not JSON/],
    [
      'has two prices for one day',
      JSON.stringify({ prices: [price, price] }),
      /gpt-4o: the price from 2026-01-01 has not/,
    ],
    ['has a wrong price', JSON.stringify({ prices: [{ ...price, input: 'a' }] }), /PRICES_FILE: prices\.0\.input: /],
  ] as const) {
    test(`that ${what} fails, and the other checks run`, async () => {
      const steps = await onPrices(text)
      assertFails(steps, { step: 'prices', seen: /1 problem, so the worker would not start$/, fix })
      assert.deepEqual(marksOf(steps), ['✓ settings', '✗ prices', ...HEALTHY.slice(1)])
    })
  }

  test('is checked also where the settings are not those of a worker', async () => {
    const steps = await onPrices('{', { AZURE_TENANT_ID: '' })
    assert.deepEqual(marksOf(steps).slice(0, 2), ['✗ settings', '✗ prices'])
  })
})

describe('doctor: the store in a file', () => {
  test('whose folder is not there fails', async () => {
    const missing = join(folder, 'no folder')
    assertFails(await onDoctor({ STORE: `sqlite:${missing}/state.db` }), {
      step: 'store',
      fix: `mkdir -p '${missing}'`,
    })
  })

  test('that is no database fails', async () => {
    const path = join(folder, 'letter.txt')
    await writeFile(path, 'Dear database, '.repeat(1_000))
    await chmod(path, 0o600)
    const seen = `${path} is not a database, or another process keeps it locked`
    assertFails(await onDoctor({ STORE: `sqlite:${path}` }), { step: 'store', seen })
  })

  test('that other users may read passes, with the command that closes it', async () => {
    const path = join(folder, 'open.db')
    openSqlite(path, 'FULL').close()
    await chmod(path, 0o644)
    const steps = await onDoctor({ STORE: `sqlite:${path}` })
    const { ok, seen = '' } = steps.find(({ step }) => step === 'store') ?? {}
    assert.equal(ok, true)
    assert.match(seen, /; its mode is 644, so other users .* \(to allow only its owner: chmod 600 '?\S+open\.db'?\*\)$/)
  })
})
