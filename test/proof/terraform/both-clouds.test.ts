import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { readConfig } from '../../../shared/config/config.ts'
import { readProviders } from './provider/schema.ts'
import { CLIENT_ID, find, googleVariables, make, setUpFolder, TENANT_ID, UNIQUE_ID, valueAt, WORKER } from './set-up.ts'
import { misformatted, openConfiguration } from './terraform.ts'

const CHANNEL = 'projects/my-project/notificationChannels/1'
const SUBMITTER = 'serviceAccount:pipeline@example.iam.gserviceaccount.com'
const OPERATOR = 'user:me@example.com'

const made = await make('.', {
  both: {
    project: googleVariables.project,
    region: googleVariables.region,
    image: googleVariables.image,
    tenant_id: TENANT_ID,
    subscription_id: '00000000-0000-0000-0000-000000000000',
    azure_cloud: 'us-government',
    azure_openai_ids: ['/accounts/there'],
    deployments: [{ ...googleVariables.deployments[0], endpoint: 'https://my-resource.openai.azure.us', rpm: 600 }],
    new_account: { name: 'fresh', resource_group_name: 'my-group', location: 'usgovvirginia' },
    new_deployments: { small: { model: 'gpt-4o-mini', version: '2024-07-18', capacity: 50, rpm: 500 } },
    submitters: [SUBMITTER],
    operators: [OPERATOR],
    pause_operators: [OPERATOR],
    worker_token_operators: [OPERATOR],
    doctor_users: [OPERATOR],
    audit_logs: true,
    alert_on_delivery_changes: true,
    point_in_time_recovery: true,
    deletion_protection: false,
    notification_channels: [CHANNEL],
  },
})

const read = (path: string) => readFileSync(join(setUpFolder, path), 'utf8')
const files = globSync('**/*.tf', { cwd: setUpFolder })

if (made !== undefined) {
  const { both } = made
  const { resources, outputs } = both.applied
  const SERVICE = 'module.google.google_cloud_run_v2_service.worker'

  test('terraform fmt would change no file', async () => {
    assert.deepEqual(await misformatted(setUpFolder), [])
  })

  for (const path of ['.', 'modules/google', 'modules/azure']) {
    test(`${path} is right by the providers' schemas`, async () => {
      await using terraform = await openConfiguration(join(setUpFolder, path), { within: join(setUpFolder, '../..') })
      assert.deepEqual(await terraform.validate(), [])
    })
  }

  test('Azure trusts the service account that the worker runs as', () => {
    const credential = 'module.azure.azuread_application_federated_identity_credential.worker'
    assert.equal(valueAt(both, credential, 'subject'), UNIQUE_ID)
    assert.equal(valueAt(both, SERVICE, 'template.0.service_account'), WORKER)
    assert.deepEqual(valueAt(both, credential, 'audiences'), ['api://AzureADTokenExchangeUSGov'])
  })

  test('the settings that are printed are whole, and those of both clouds', () => {
    const { env } = outputs
    assert.ok(typeof env === 'string')
    const config = readConfig(parseEnv(env))
    assert.equal(config.federation.tenantId, TENANT_ID)
    assert.equal(config.federation.clientId, CLIENT_ID)
    assert.equal(config.federation.audience, 'api://AzureADTokenExchangeUSGov')
    assert.deepEqual(config.tokenSource, { kind: 'impersonate', serviceAccount: WORKER })
    assert.deepEqual(
      config.deployments.map(({ deployment, rpm, tpm }) => [deployment, rpm, tpm]),
      [
        ['gpt-4o', 600, undefined],
        ['small', 500, 50_000],
      ],
    )
  })

  test('the instances follow the quota of both, what is there and what is made', () => {
    // 1,100 requests a minute of ten seconds: 184 at once, and as many that wait.
    assert.equal(valueAt(both, SERVICE, 'template.0.scaling.0.max_instance_count'), 4)
  })

  test('submitters, operators and alert channels are passed on', () => {
    const members = new Set(resources.map(({ values }) => values['member']))
    assert.ok(members.has(SUBMITTER) && members.has(OPERATOR))
    const alerts = resources.filter(({ type }) => type === 'google_monitoring_alert_policy')
    assert.ok(alerts.length > 0)
    for (const { values } of alerts) assert.deepEqual(values['notification_channels'], [CHANNEL])
  })

  test('what an operator may have beyond operating, audit logs, recovery and protection are passed on', () => {
    for (const address of [
      `google_service_account_iam_member.operators_resume["${OPERATOR}"]`,
      `google_service_account_iam_member.operators_doctor["${OPERATOR}"]`,
      `google_service_account_iam_member.doctor_users["${OPERATOR}"]`,
      'google_project_iam_audit_config.data_access["datastore.googleapis.com"]',
      'google_monitoring_alert_policy.delivery_changed[0]',
    ]) {
      find(resources, `module.google.${address}`)
    }
    const enabled = valueAt(
      both,
      'module.google.google_firestore_database.default[0]',
      'point_in_time_recovery_enablement',
    )
    assert.equal(enabled, 'POINT_IN_TIME_RECOVERY_ENABLED')
    assert.equal(valueAt(both, SERVICE, 'deletion_protection'), false)
  })

  test('the role is given for what is there and for what is made', () => {
    const roles = resources.filter(({ type }) => type === 'azurerm_role_assignment')
    assert.deepEqual(roles.map(({ values }) => values['scope']).toSorted(), ['/accounts/fresh', '/accounts/there'])
  })

  test('the outputs hold what an operator needs after the set-up', () => {
    const { env: _, ...rest } = outputs
    assert.deepEqual(rest, {
      client_id: CLIENT_ID,
      doctor_service_account: `promptbridge-doctor@${googleVariables.project}.iam.gserviceaccount.com`,
      uri: 'https://promptbridge-worker-x.run.app',
      worker_service_account: WORKER,
      worker_unique_id: UNIQUE_ID,
    })
  })

  test('no resource is made or read that would have a secret in the state', () => {
    const secret = /secret|password|certificate|_key$|service_account_key|client_config/
    for (const { type, address } of resources) assert.doesNotMatch(type, secret, address)
    // The provider writes the keys of a resource into the state, unless it has none; and those of one that is read always.
    for (const { type, mode, values, address } of resources) {
      if (type !== 'azurerm_cognitive_account') continue
      assert.equal(mode, 'managed', address)
      assert.equal(values['local_auth_enabled'], false, address)
    }
  })

  test('the worker is given nothing from a secret', () => {
    const environment = valueAt(both, SERVICE, 'template.0.containers.0.env')
    assert.ok(Array.isArray(environment))
    for (const { value_source: source } of environment) assert.deepEqual(source ?? [], [])
  })

  test('no module waits for the other as a whole, which would be a circle', () => {
    const modules = read('main.tf').split(/^(?=module )/m)
    for (const text of modules) assert.doesNotMatch(text, /depends_on/)
  })
}

test('each provider is pinned to the one version whose schema is known', () => {
  const pinned = [...read('versions.tf').matchAll(/source\s+= "(.+)"\n\s+version = "(.+)"/g)]
  const known = readProviders().map(({ address, version }) => [address.replace('registry.terraform.io/', ''), version])
  assert.deepEqual(pinned.map(([, source, version]) => [source, version]).toSorted(), known.toSorted())
})

test('no variable and no output takes or gives a secret', () => {
  const names = files.flatMap((path) =>
    [...read(path).matchAll(/^(?:variable|output) "(\w+)"/gm)].map(([, name]) => name),
  )
  assert.ok(names.length > 40)
  for (const name of names) assert.doesNotMatch(String(name), /secret|password|_key|api_key|credential/)
  for (const path of files) assert.doesNotMatch(read(path), /sensitive\s*=|api[-_]?key|client_secret/i, path)
})

test('no file grants anything to everyone, or switches the check of who calls off', () => {
  for (const path of files) {
    assert.doesNotMatch(read(path), /member\s*=\s*"all|invoker_iam_disabled\s*=(?!\s*false)/, path)
  }
})

const readme = () => read('README.md')

/** The names in the first cells of a table, below a heading. */
function rowsBelow(heading: string): readonly (string | undefined)[] {
  const section =
    readme()
      .split(/^(?=#)/m)
      .find((part) => part.startsWith(`${heading}\n`)) ?? ''
  return [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name)
}

for (const [heading, path] of [
  ['## The example', '.'],
  ['## The google module', 'modules/google'],
  ['## The azure module', 'modules/azure'],
] as const) {
  test(`the README lists every input and output of ${path}, and no other`, () => {
    const named = (file: string) => [...read(join(path, file)).matchAll(/^(?:variable|output) "(\w+)"/gm)]
    const expected = ['variables.tf', 'outputs.tf'].flatMap((file) => named(file).map(([, name]) => name))
    assert.deepEqual(rowsBelow(heading), expected)
  })
}

test('the README names the settings that are left to their defaults', () => {
  const text = readme()
  for (const name of ['HOST', 'PORT', 'AZURE_AUTHORITY_HOST', 'AZURE_OPENAI_ENDPOINT', 'PUSH_CERTS_URL']) {
    assert.ok(text.includes(`\`${name}\``), name)
  }
})
