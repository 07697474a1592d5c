import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { missingForTerraform } from './command.ts'
import type { Values } from './read-plan.ts'
import { misformatted, openConfiguration } from './terraform.ts'

const docs = readFileSync(join(import.meta.dirname, '../../docs/federation.md'), 'utf8')
const [, configuration = ''] = /```hcl\n([\s\S]+?)```/.exec(docs) ?? []

const folder = mkdtempSync(join(tmpdir(), 'federation-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'main.tf'), configuration)

const GIVEN = { project: 'a-project', tenant_id: 'a-tenant', subscription_id: 'a-subscription', azure_openai_id: '/a' }

/** Applies it, and returns the values of the only resource of a type. */
async function apply(): Promise<(type: string) => Values> {
  await using opened = await openConfiguration(folder)
  const { resources } = await opened.apply(GIVEN)
  return (type) => resources.find((one) => one.type === type)?.values ?? {}
}

const missing = missingForTerraform()
if (missing === undefined) {
  test('the Terraform of the page about federation is right, and as Terraform would have it formatted', async () => {
    await using opened = await openConfiguration(folder)
    assert.deepEqual(await opened.validate(), [])
    assert.deepEqual(await misformatted(folder), [])
  })

  test('its credential has the unique id of the service account for a subject, and Google for an issuer', async () => {
    const valuesOf = await apply()
    const credential = valuesOf('azuread_application_federated_identity_credential')
    assert.equal(credential['subject'], valuesOf('google_service_account')['unique_id'])
    assert.match(String(credential['subject']), /^\d+$/)
    assert.equal(credential['issuer'], 'https://accounts.google.com')
    assert.deepEqual(credential['audiences'], ['api://AzureADTokenExchange'])
    assert.equal(credential['application_id'], valuesOf('azuread_application')['id'])
  })

  test('its role is given to the service principal of the application, on the resource', async () => {
    const valuesOf = await apply()
    const role = valuesOf('azurerm_role_assignment')
    assert.equal(role['scope'], GIVEN.azure_openai_id)
    assert.equal(role['principal_id'], valuesOf('azuread_service_principal')['object_id'])
    assert.equal(valuesOf('azuread_service_principal')['client_id'], valuesOf('azuread_application')['client_id'])
  })
} else {
  test(`the Terraform of the page about federation: not checked here, ${missing}`, { skip: true })
}
