import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { misformatted, openConfiguration } from './terraform.ts'

const FIXTURE = join(import.meta.dirname, 'fixtures/right')
const PROJECT = { project: 'a-project' }

const folders = mkdtempSync(join(tmpdir(), 'planted-'))
after(() => rmSync(folders, { recursive: true }))

/** A copy of the fixture in which something stands for something else. */
function plant(from: string, to: string): string {
  const folder = mkdtempSync(join(folders, 'case-'))
  cpSync(FIXTURE, folder, { recursive: true })
  for (const path of ['main.tf', 'queue/main.tf']) {
    const text = readFileSync(join(folder, path), 'utf8')
    writeFileSync(join(folder, path), text.replace(from, to))
  }
  return folder
}

/** What validate says of it: each error's summary and detail. */
async function said(folder: string): Promise<readonly string[]> {
  await using configuration = await openConfiguration(folder)
  return (await configuration.validate()).map(({ summary, detail }) => `${summary}: ${detail}`)
}

/** What is wrong with it, what stands in its place, and what Terraform says of it. */
const planted: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'an argument that is not there',
    'account_id = "worker"',
    'account_name = "worker"',
    /^Unsupported argument: .*"account_name"/,
  ],
  [
    'an argument of another type',
    '= var.ack_deadline_seconds\n  filter',
    '= "soon"\n  filter',
    /ack_deadline_seconds.*number is required/,
  ],
  [
    'an argument that is null',
    'account_id = "worker"',
    'account_id = null',
    /^Missing required argument: "account_id"/,
  ],
  [
    'an argument that is missing',
    '  subject        = google_service_account.worker.unique_id\n',
    '',
    /^Missing required argument: .*"subject"/,
  ],
  [
    'an argument that only a cloud sets',
    'account_id = "worker"',
    'account_id = "worker"\n  unique_id = "1"',
    /^Value for unconfigurable attribute: "unique_id"/,
  ],
  [
    'a type of resource that is not there',
    '"google_pubsub_topic_iam_member"',
    '"google_pubsub_topic_member"',
    /^Invalid resource type/,
  ],
  ['a block that is not there', 'retry_policy {', 'retry {', /^Unsupported block type: .*"retry"/],
  [
    'a block that may be there once',
    'retry_policy {',
    'retry_policy {}\n  retry_policy {',
    /^Too many retry_policy blocks/,
  ],
  [
    'an argument of a block that is not there',
    'minimum_backoff',
    'least_backoff',
    /^Unsupported argument: .*"least_backoff"/,
  ],
  [
    'an attribute that is not there',
    'worker.unique_id\n  audiences',
    'worker.number\n  audiences',
    /^Unsupported attribute: .*"number"/,
  ],
  [
    'a reference to nothing',
    'publisher            = local.agent',
    'publisher = local.undeclared',
    /^Reference to undeclared local value/,
  ],
  [
    'an argument of the provider that is not there',
    '  project = var.project\n}\n\ndata',
    '  projekt = var.project\n}\n\ndata',
    /^Unsupported argument: .*"projekt"/,
  ],
  ['what is no configuration', 'provider "google" {', 'provider "google" ', /^Invalid block definition/],
]

describe('Terraform, with providers that know the schemas', () => {
  for (const [what, from, to, pattern] of planted) {
    test(`finds ${what}`, async () => {
      const found = await said(plant(from, to))
      assert.ok(
        found.some((text) => pattern.test(text.replaceAll('\n', ' '))),
        found.join('\n'),
      )
    })
  }

  test('has nothing to say against a configuration that is right', async () => {
    assert.deepEqual(await said(FIXTURE), [])
  })

  test('refuses a version that is not the one whose schema is known, and a provider that is none of them', async () => {
    await assert.rejects(said(plant('~> 3.7', '~> 2.0')), /hashicorp\/azuread/)
    assert.match((await said(plant('hashicorp/azuread', 'hashicorp/unknown'))).join('\n'), /hashicorp\/unknown/)
  })
})

describe('a plan', () => {
  test('has each resource with its values as Terraform works them out', async () => {
    await using configuration = await openConfiguration(FIXTURE, {
      computed: { 'data google_project': () => ({ number: '1234567890' }) },
    })
    const { resources } = await configuration.plan({ ...PROJECT, ack_deadline_seconds: 300 })
    const valuesOf = (address: string) => resources.find((one) => one.address === address)?.values
    const subscription = valuesOf('module.queue["high"].google_pubsub_subscription.this')
    assert.equal(subscription?.['ack_deadline_seconds'], 300)
    assert.equal(subscription['filter'], 'attributes.priority = "high"')
    assert.deepEqual(subscription['retry_policy'], [{ minimum_backoff: '10s' }])
    assert.equal(
      valuesOf('module.queue["low"].google_pubsub_topic_iam_member.publisher')?.['member'],
      'serviceAccount:service-1234567890@gcp-sa-pubsub.iam.gserviceaccount.com',
    )
    assert.equal(valuesOf('data.google_project.this')?.['project_id'], 'a-project')
  })

  test('leaves open what a cloud computes, what follows from it, and nothing else', async () => {
    await using configuration = await openConfiguration(FIXTURE)
    const { resources, outputs } = await configuration.plan(PROJECT)
    const unknownOf = (address: string) => resources.find((one) => one.address === address)?.unknown
    const account = unknownOf('google_service_account.worker')
    assert.equal(account?.['unique_id'], true)
    assert.equal(account['account_id'], undefined)
    assert.equal(account['description'], undefined)
    assert.equal(unknownOf('azuread_application_federated_identity_credential.worker')?.['subject'], true)
    assert.deepEqual(outputs, { topics: { high: 'high', low: 'low' } })
  })

  test('returns the references of each resource and each module call', async () => {
    await using configuration = await openConfiguration(FIXTURE)
    const { references } = await configuration.plan(PROJECT)
    assert.ok(references['module.queue.google_pubsub_subscription.this']?.includes('google_pubsub_topic.this.id'))
    assert.ok(references['module.queue']?.includes('local.agent'))
  })

  test('fails on a value that a variable refuses, on a missing value, and on an undeclared variable', async () => {
    await using configuration = await openConfiguration(FIXTURE)
    await assert.rejects(configuration.plan({ ...PROJECT, ack_deadline_seconds: 601 }), /ten minutes at most/)
    await assert.rejects(configuration.plan(), /No value for required variable/)
    await assert.rejects(configuration.plan({ ...PROJECT, projekt: 'x' }), /"projekt"/)
  })

  test('fails where the number of resources hangs on what only a cloud knows', async () => {
    const unknown = 'account_id = "again"\n  count = google_service_account.worker.unique_id == "1" ? 1 : 0'
    const folder = plant(
      'module "queue"',
      `resource "google_service_account" "again" {\n  ${unknown}\n}\n\nmodule "queue"`,
    )
    await using configuration = await openConfiguration(folder)
    await assert.rejects(configuration.plan(PROJECT), /Invalid count argument/)
  })
})

describe('an apply', () => {
  test('knows everything, and the same wherever it is referred to', async () => {
    await using configuration = await openConfiguration(FIXTURE)
    const { resources, outputs } = await configuration.apply(PROJECT)
    const valuesOf = (address: string) => resources.find((one) => one.address === address)?.values
    const account = valuesOf('google_service_account.worker')
    assert.match(String(account?.['unique_id']), /^\d{12}/)
    assert.equal(outputs['subject'], account?.['unique_id'])
    const credential = valuesOf('azuread_application_federated_identity_credential.worker')
    assert.equal(credential?.['subject'], account?.['unique_id'])
    assert.equal(credential?.['application_id'], valuesOf('azuread_application.worker')?.['id'])
    const [high, low] = ['high', 'low'].map(
      (name) => valuesOf(`module.queue["${name}"].google_pubsub_topic.this`)?.['id'],
    )
    assert.notEqual(high, low)
    assert.equal(valuesOf('module.queue["high"].google_pubsub_subscription.this')?.['topic'], high)
  })

  test('has what the test wants a cloud to compute', async () => {
    const computed = { google_service_account: () => ({ unique_id: '42' }) }
    await using configuration = await openConfiguration(FIXTURE, { computed })
    assert.equal((await configuration.apply(PROJECT)).outputs['subject'], '42')
    // Each plan and each apply starts with nothing.
    assert.equal((await configuration.apply(PROJECT)).outputs['subject'], '42')
  })
})

describe('the folder of a configuration', () => {
  test('stays as it is', async () => {
    const before = readdirSync(FIXTURE, { recursive: true })
    await using configuration = await openConfiguration(FIXTURE)
    await configuration.apply(PROJECT)
    assert.deepEqual(readdirSync(FIXTURE, { recursive: true }), before)
  })

  test('may name modules beside it, in a folder around both', async () => {
    const around = mkdtempSync(join(folders, 'around-'))
    cpSync(join(FIXTURE, 'queue'), join(around, 'queue'), { recursive: true })
    cpSync(FIXTURE, join(around, 'example'), { recursive: true, filter: (path) => !path.endsWith('queue') })
    const main = join(around, 'example/main.tf')
    writeFileSync(main, readFileSync(main, 'utf8').replace('"./queue"', '"../queue"'))
    await using configuration = await openConfiguration(join(around, 'example'), { within: around })
    assert.deepEqual(await configuration.validate(), [])
  })
})

describe('the format', () => {
  test('is as Terraform would have it', async () => {
    assert.deepEqual(await misformatted(FIXTURE), [])
  })

  test('is checked in the modules, too', async () => {
    assert.deepEqual(await misformatted(plant('minimum_backoff =', 'minimum_backoff    =')), ['queue/main.tf'])
  })

  test('of an invalid configuration cannot be read', async () => {
    await assert.rejects(misformatted(plant('provider "google" {', 'provider "google" ')), /Invalid block definition/)
  })
})
