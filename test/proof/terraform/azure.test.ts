import assert from 'node:assert/strict'
import { test } from 'node:test'
import { azureClouds } from '../../../shared/config/azure-clouds.ts'
import { CLIENT_ID, type Made, make, TENANT_ID, UNIQUE_ID, valueAt, written } from './set-up.ts'

const ACCOUNT = '/subscriptions/0/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/there'

const made = await make('modules/azure', {
  there: { subject: UNIQUE_ID, account_ids: [ACCOUNT] },
  government: { subject: UNIQUE_ID, azure_cloud: 'us-government', account_ids: [ACCOUNT] },
  china: { subject: UNIQUE_ID, azure_cloud: 'china', account_ids: [ACCOUNT] },
  fresh: {
    subject: UNIQUE_ID,
    account: { name: 'fresh', resource_group_name: 'my-group', location: 'swedencentral' },
    deployments: {
      small: { model: 'gpt-4o-mini', version: '2024-07-18', capacity: 50, rpm: 500 },
      large: { model: 'gpt-4o', version: '2024-11-20', capacity: 10, sku: 'Standard', priority: 2 },
    },
  },
})

const CREDENTIAL = 'azuread_application_federated_identity_credential.worker'
const ROLE = 'Cognitive Services OpenAI User'

if (made !== undefined) {
  const { there, government, china, fresh } = made

  test('the app registration is of this directory alone, and asks for nothing', () => {
    const application = { display_name: 'promptbridge-worker', sign_in_audience: 'AzureADMyOrg' }
    assert.deepEqual(written(there, 'azuread_application.worker'), application)
  })

  test('the service principal is that of the app registration', () => {
    assert.equal(valueAt(there, 'azuread_service_principal.worker', 'client_id'), CLIENT_ID)
  })

  test('the federated credential takes what Google says of the one service account', () => {
    assert.deepEqual(written(there, CREDENTIAL), {
      display_name: 'promptbridge-worker',
      description: 'The service account of the Promptbridge worker on Google Cloud.',
      issuer: 'https://accounts.google.com',
      subject: UNIQUE_ID,
      audiences: ['api://AzureADTokenExchange'],
    })
    assert.equal(valueAt(there, CREDENTIAL, 'application_id'), '/applications/0')
  })

  for (const [cloud, one] of [
    ['public', there],
    ['us-government', government],
    ['china', china],
  ] as const) {
    test(`the audience in the cloud ${cloud} is the one that the worker asks Google for`, () => {
      assert.deepEqual(valueAt(one, CREDENTIAL, 'audiences'), [azureClouds[cloud].federatedAudience])
      assert.equal(one.applied.outputs['audience'], azureClouds[cloud].federatedAudience)
    })
  }

  test('the worker may ask the resources there are, and has no other role', () => {
    assert.deepEqual(rolesOf(there), [`the-principal: ${ROLE} on ${ACCOUNT} (ServicePrincipal)`])
  })

  test('the worker may ask the resource that is made, and has no other role', () => {
    assert.deepEqual(rolesOf(fresh), [`the-principal: ${ROLE} on /accounts/fresh (ServicePrincipal)`])
  })

  test('a resource that is made takes no keys, and Entra’s tokens at an address of its own', () => {
    assert.deepEqual(written(fresh, 'azurerm_cognitive_account.this["this"]'), {
      name: 'fresh',
      resource_group_name: 'my-group',
      location: 'swedencentral',
      kind: 'OpenAI',
      sku_name: 'S0',
      custom_subdomain_name: 'fresh',
      local_auth_enabled: false,
      public_network_access_enabled: true,
    })
  })

  test('its deployments are those that are named', () => {
    const small = 'azurerm_cognitive_deployment.this["small"]'
    assert.deepEqual(written(fresh, small), {
      name: 'small',
      model: [{ format: 'OpenAI', name: 'gpt-4o-mini', version: '2024-07-18' }],
      sku: [{ name: 'GlobalStandard', capacity: 50 }],
    })
    assert.equal(valueAt(fresh, small, 'cognitive_account_id'), '/accounts/fresh')
    assert.equal(valueAt(fresh, 'azurerm_cognitive_deployment.this["large"]', 'sku.0.name'), 'Standard')
  })

  test('the output for deployments is the worker’s setting', () => {
    const endpoint = 'https://fresh.openai.azure.com'
    assert.deepEqual(fresh.applied.outputs['deployments'], [
      { model: 'gpt-4o', endpoint, deployment: 'large', priority: 2, rpm: null, tpm: 10_000 },
      { model: 'gpt-4o-mini', endpoint, deployment: 'small', priority: 1, rpm: 500, tpm: 50_000 },
    ])
  })

  test('nothing is made but what is named', () => {
    const types = there.applied.resources.map(({ type }) => type).toSorted()
    assert.deepEqual(types, [
      'azuread_application',
      'azuread_application_federated_identity_credential',
      'azuread_service_principal',
      'azurerm_role_assignment',
    ])
    assert.deepEqual(there.applied.outputs['deployments'], [])
  })

  test('the outputs for tenant and client are the worker’s settings', () => {
    const { tenant_id: tenant, client_id: client } = there.applied.outputs
    assert.deepEqual([tenant, client], [TENANT_ID, CLIENT_ID])
  })
}

function rolesOf({ applied }: Made): readonly string[] {
  return applied.resources
    .filter(({ type }) => type === 'azurerm_role_assignment')
    .map(({ values }) => {
      const { principal_id: who, role_definition_name: role, scope, principal_type: kind } = values
      return `${who}: ${role} on ${scope} (${kind})`
    })
}
