import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Computed } from './provider/make-up.ts'
import type { Applied, Plan, Resource } from './read-plan.ts'
import { type Configuration, openConfiguration, type Variables } from './terraform.ts'

/** Of deploy/terraform, and of all that its modules read. */
export const setUpFolder = join(import.meta.dirname, '../../../deploy/terraform')
const within = join(setUpFolder, '../..')

export const PROJECT = 'my-project'
export const WORKER = `promptbridge-worker@${PROJECT}.iam.gserviceaccount.com`
export const INVOKER = `promptbridge-invoker@${PROJECT}.iam.gserviceaccount.com`
export const PUBSUB_AGENT = 'service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com'
export const UNIQUE_ID = '104512340987612345678'
export const WORKER_URI = 'https://promptbridge-worker-x.run.app'
export const CLIENT_ID = '9b1c0000-0000-4000-8000-000000000000'
export const TENANT_ID = '72f90000-0000-4000-8000-000000000000'

/** The policy of the service, with these members beside the invoker. */
export function callersPolicy(...others: readonly string[]): string {
  const members = [`serviceAccount:${INVOKER}`, ...others]
  return JSON.stringify({ bindings: [{ role: 'roles/run.invoker', members }] })
}

/** What the clouds compute, in their own form. */
export const computed: Computed = {
  'data google_project': () => ({ number: '123456789012' }),
  google_service_account({ account_id: id }) {
    const email = `${id}@${PROJECT}.iam.gserviceaccount.com`
    return { email, name: `projects/${PROJECT}/serviceAccounts/${email}`, unique_id: UNIQUE_ID }
  },
  google_cloud_run_v2_service: () => ({ uri: WORKER_URI }),
  'data google_cloud_run_v2_service_iam_policy': () => ({ policy_data: callersPolicy() }),
  google_pubsub_topic: ({ name }) => ({ id: `projects/${PROJECT}/topics/${name}` }),
  google_project_iam_custom_role: ({ role_id: id }) => ({ name: `projects/${PROJECT}/roles/${id}` }),
  azuread_application: () => ({ id: '/applications/0', client_id: CLIENT_ID }),
  azuread_service_principal: () => ({ object_id: 'the-principal', application_tenant_id: TENANT_ID }),
  azurerm_cognitive_account: ({ name, location }) => ({
    id: `/accounts/${name}`,
    endpoint: `https://${name}.openai.azure.${String(location).startsWith('usgov') ? 'us' : 'com'}/`,
  }),
}

/** The least that the google module wants. */
export const googleVariables = {
  project: PROJECT,
  region: 'europe-west1',
  image: 'europe-west1-docker.pkg.dev/my-project/promptbridge/worker@sha256:0',
  azure_tenant_id: TENANT_ID,
  azure_client_id: CLIENT_ID,
  deployments: [{ model: 'gpt-4o', endpoint: 'https://my-resource.openai.azure.com', deployment: 'gpt-4o' }],
} as const

/** A configuration below deploy/terraform, planned and applied. */
export interface Made {
  readonly plan: Plan
  readonly applied: Applied
}

/**
 * Plans and applies it for each of these sets of variables. Undefined where the tests that look at it have nothing to look at:
 * a test that fails says why, be it that Terraform is missing.
 */
export async function make<Name extends string>(
  path: string,
  variables: Readonly<Record<Name, Variables>>,
): Promise<Readonly<Record<Name, Made>> | undefined> {
  try {
    return await makeAll(path, variables)
  } catch (error) {
    test(`deploy/terraform/${path}: Terraform can plan and apply it`, () => Promise.reject(error))
    return undefined
  }
}

async function makeAll<Name extends string>(
  path: string,
  variables: Readonly<Record<Name, Variables>>,
): Promise<Readonly<Record<Name, Made>>> {
  await using terraform = await openConfiguration(join(setUpFolder, path), { within, computed })
  const made: [string, Made][] = []
  for (const [name, values] of Object.entries<Variables>(variables)) {
    made.push([name, { plan: await terraform.plan(values), applied: await terraform.apply(values) }])
  }
  // The names are those of the variables.
  return Object.fromEntries(made) as Record<Name, Made>
}

const opened = new Map<string, Promise<Configuration>>()
after(async () => {
  for (const configuration of opened.values()) await (await configuration)[Symbol.asyncDispose]()
})

/** Plans it from nothing. Rejects with what Terraform says against these variables. */
export async function tryPlan(path: string, variables: Variables): Promise<Plan> {
  const configuration = opened.get(path) ?? openConfiguration(join(setUpFolder, path), { within, computed })
  opened.set(path, configuration)
  return (await configuration).plan(variables)
}

export function find<R extends Resource>(resources: readonly R[], address: string): R {
  const found = resources.find((resource) => resource.address === address)
  assert.ok(found !== undefined, `there is no ${address}`)
  return found
}

/** All that is written down and known before apply; what is not set is left out. */
export function written({ plan }: Made, address: string): unknown {
  return withoutBlanks(find(plan.resources, address).values)
}

/** A value after apply, by its place: push_config.0.push_endpoint */
export function valueAt({ applied }: Made, address: string, place: string): unknown {
  const steps = place.split('.')
  return steps.reduce<unknown>(
    (value, step) => (typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined),
    find(applied.resources, address).values,
  )
}

function withoutBlanks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutBlanks)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, inner]) => !isBlank(inner))
  return Object.fromEntries(entries.map(([name, inner]) => [name, withoutBlanks(inner)]))
}

function isBlank(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0)
}
