import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { readConfig } from '../../../shared/config/config.ts'
import { settings } from '../../../shared/config/schema.ts'
import { aDeployment } from '../../support/deployment-builders.ts'
import {
  CLIENT_ID,
  googleVariables,
  INVOKER,
  type Made,
  make,
  PROJECT,
  setUpFolder,
  TENANT_ID,
  tryPlan,
  valueAt,
  WORKER,
  written,
} from './set-up.ts'

const SERVICE = 'google_cloud_run_v2_service.worker'

/** Of the settings, what Cloud Run sets always; then what a variable sets, with a value of its own. */
const FIXED = [
  ...['GOOGLE_CLOUD_PROJECT', 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'TOKEN_SOURCE', 'AZURE_CLOUD', 'DEPLOYMENTS'],
  ...['PUSH_AUTH', 'PUSH_AUDIENCE', 'PUSH_SERVICE_ACCOUNT', 'JOBS_TOPIC', 'DEAD_LETTER_TOPIC', 'EVENTS_TOPIC', 'STORE'],
  'FIRESTORE_DATABASE',
  ...['ACK_DEADLINE_SECONDS', 'MAX_IN_FLIGHT', 'MAX_IN_FLIGHT_BYTES', 'MAX_JOB_AGE_DAYS'],
]
const FREE = {
  OPENAI_API_VERSION: '2025-03-01-preview',
  ALLOW_CUSTOM_HOSTS: true,
  MODEL_TIMEOUT_SECONDS: 99,
  MAX_ATTEMPTS: 3,
  ON_UNKNOWN: 'dead-letter',
  MAX_OUTPUT_TOKENS: 1_000,
  ALLOW_BODY_FIELDS: 'store,tools.mcp',
  DAILY_TOKEN_LIMIT: 1_000_000,
  RECORD_TTL_DAYS: 10,
  LOG_LEVEL: 'debug',
}
/** Left to their defaults, and why: the README of deploy/terraform says it too. */
const LEFT = [
  // Cloud Run's own affair.
  ...['HOST', 'PORT'],
  // The cloud's, which AZURE_CLOUD gives.
  ...['AZURE_AUTHORITY_HOST', 'AZURE_FEDERATED_AUDIENCE', 'AZURE_OPENAI_SCOPE'],
  // DEPLOYMENTS says it.
  ...['AZURE_OPENAI_ENDPOINT', 'AZURE_OPENAI_DEPLOYMENT'],
  // Google's.
  'PUSH_CERTS_URL',
  // A file, and the image has none beside the built-in prices.
  'PRICES_FILE',
]

const two = [
  { model: 'gpt-4o', endpoint: 'https://a.openai.azure.com', deployment: 'one', rpm: 600, tpm: 100_000 },
  {
    model: 'gpt-4o',
    endpoint: 'https://b.openai.azure.com',
    deployment: 'two',
    name: 'second',
    rpm: 1_200,
    priority: 2,
    max_output_tokens: 500,
  },
] as const
const REGION = 'https://WestEurope.api.cognitive.microsoft.com/'
const lowerCased = Object.entries(FREE).map(([name, value]) => [name.toLowerCase(), value] as const)

const made = await make('modules/google', {
  least: googleVariables,
  most: {
    ...googleVariables,
    ...Object.fromEntries(lowerCased),
    deployments: two,
    azure_cloud: 'us-government',
    max_in_flight: 20,
    max_in_flight_bytes: 132_000_000,
    min_instances: 1,
    job_seconds: 30,
    deletion_protection: false,
  },
})

if (made !== undefined) {
  const { least, most } = made

  test('the service is this and no more: checked by IAM, reached from inside alone', () => {
    const { template, ...service } = planned(least)
    assert.deepEqual(service, {
      project: PROJECT,
      location: 'europe-west1',
      name: 'promptbridge-worker',
      deletion_protection: true,
      ingress: 'INGRESS_TRAFFIC_INTERNAL_ONLY',
      invoker_iam_disabled: false,
      custom_audiences: [`https://promptbridge-worker.${PROJECT}.internal`],
    })
    const { containers, ...rest } = first(template)
    assert.deepEqual(rest, {
      timeout: '600s',
      max_instance_request_concurrency: 110,
      scaling: [{ min_instance_count: 0, max_instance_count: 90 }],
    })
    const { env: _, ...container } = first(containers)
    assert.deepEqual(container, {
      image: googleVariables.image,
      ports: [{ container_port: 8080 }],
      resources: [{ limits: { cpu: '1', memory: '1024Mi' }, cpu_idle: true, startup_cpu_boost: true }],
      startup_probe: [
        { period_seconds: 2, timeout_seconds: 2, failure_threshold: 120, http_get: [{ path: '/readyz' }] },
      ],
      liveness_probe: [
        { period_seconds: 60, timeout_seconds: 10, failure_threshold: 3, http_get: [{ path: '/healthz' }] },
      ],
    })
  })

  test('the service runs as an account of its own, which is not the invoker', () => {
    assert.equal(valueAt(least, SERVICE, 'template.0.service_account'), WORKER)
    assert.notEqual(WORKER, INVOKER)
  })

  test('the service is made when its database is there and may be read, and the APIs are enabled', () => {
    const text = readFileSync(join(setUpFolder, 'modules/google/worker.tf'), 'utf8')
    const [, dependsOn = ''] = /depends_on = \[([^\]]+)\]/.exec(text) ?? []
    assert.deepEqual(
      dependsOn
        .split(',')
        .map((one) => one.trim())
        .filter(Boolean),
      [
        'google_project_service.needed',
        'google_firestore_database.default',
        'google_project_iam_member.worker_records',
      ],
    )
  })

  test('every setting of the schema is set, may be set, or is left to its default on purpose', () => {
    const known = [...FIXED, ...Object.keys(FREE), ...LEFT]
    assert.deepEqual(Object.keys(settings.shape).toSorted(), known.toSorted())
  })

  test('Cloud Run is given the settings that are always set, and those of the variables that are', () => {
    assert.deepEqual(Object.keys(environmentOf(least)).toSorted(), FIXED.toSorted())
    assert.deepEqual(Object.keys(environmentOf(most)).toSorted(), [...FIXED, ...Object.keys(FREE)].toSorted())
  })

  for (const [name, value] of Object.entries(FREE)) {
    test(`${name} is what its variable says`, () => {
      assert.equal(environmentOf(most)[name], String(value))
    })
  }

  test('the worker starts with the settings it is given', () => {
    const config = readConfig(environmentOf(least))
    assert.equal(config.federation.tenantId, TENANT_ID)
    assert.equal(config.federation.clientId, CLIENT_ID)
    assert.deepEqual(config.tokenSource, { kind: 'metadata-server' })
    assert.deepEqual(config.pushAuth, {
      mode: 'cloud-run-iam',
      audience: `https://promptbridge-worker.${PROJECT}.internal`,
      serviceAccount: INVOKER,
    })
    assert.deepEqual(config.store, { kind: 'firestore', project: PROJECT, database: 'promptbridge-records' })
    assert.deepEqual(config.deployments, [aDeployment(googleVariables.deployments[0])])
    const { jobsTopic, deadLetterTopic, eventsTopic } = config
    assert.deepEqual(
      { jobsTopic, deadLetterTopic, eventsTopic },
      {
        jobsTopic: 'promptbridge-jobs',
        deadLetterTopic: 'promptbridge-dead-letter',
        eventsTopic: 'promptbridge-events',
      },
    )
  })

  test('the worker starts with every setting there is a variable for, too', () => {
    const config = readConfig(environmentOf(most))
    const [first, { max_output_tokens: maxOutputTokens, ...second }] = two
    assert.deepEqual(config.deployments, [
      aDeployment({ ...first, maxOutputTokens: FREE.MAX_OUTPUT_TOKENS }),
      aDeployment({ ...second, maxOutputTokens }),
    ])
    assert.equal(config.federation.authorityHost, 'https://login.microsoftonline.us')
    assert.equal(config.maxInFlight, 20)
    assert.equal(config.maxInFlightBytes, 132_000_000)
  })

  test('an operator has the same settings in a file, and speaks for the worker by impersonation', () => {
    for (const one of [least, most]) {
      const { env } = one.applied.outputs
      assert.ok(typeof env === 'string')
      const { ALLOW_CUSTOM_HOSTS: _, ...allowedInFile } = environmentOf(one)
      assert.deepEqual({ ...parseEnv(env) }, { ...allowedInFile, TOKEN_SOURCE: `impersonate:${WORKER}` })
    }
  })

  test('there is head room for requests that are not jobs of their own', () => {
    for (const [one, maxInFlight, concurrency] of [
      [least, 100, 110],
      [most, 20, 28],
    ] as const) {
      assert.equal(environmentOf(one)['MAX_IN_FLIGHT'], String(maxInFlight))
      assert.equal(valueAt(one, SERVICE, 'template.0.max_instance_request_concurrency'), concurrency)
    }
  })

  test('where the quota is not known, there are as many instances as hold all pushes that Pub/Sub has under way', () => {
    assert.equal(valueAt(least, SERVICE, 'template.0.scaling.0.max_instance_count'), (3 * 3_000) / 100)
    assert.equal(least.applied.outputs['max_instances'], 90)
  })

  test('where it is known, there are as many as hold twice the jobs that the quota lets be asked at once', () => {
    // 1,800 requests a minute of 30 seconds each: 900 at once, and as many that wait.
    assert.equal(valueAt(most, SERVICE, 'template.0.scaling.0.max_instance_count'), 1_800 / 20)
    assert.equal(valueAt(most, SERVICE, 'template.0.scaling.0.min_instance_count'), 1)
  })

  test('memory follows the bytes of pushes that are held', () => {
    // 512 MiB for the first 32 MB, as many for each further 50 MB, and one more.
    assert.equal(valueAt(most, SERVICE, 'template.0.containers.0.resources.0.limits.memory'), '2048Mi')
  })

  for (const [what, variables, problem] of [
    ['more jobs at once than Cloud Run takes requests', { max_in_flight: 901 }, /900/],
    ['more bytes than one processor has memory for', { max_in_flight_bytes: 332_000_001 }, /332,000,000/],
    ['a job that may become older than Pub/Sub keeps it', { max_job_age_days: 31 }, /31 days/],
    [
      'messages that are dropped before their jobs are too old',
      { message_retention_days: 7 },
      /Pub\/Sub drops jobs that may still run/,
    ],
    ['a message that is kept longer than Pub/Sub can', { message_retention_days: 32 }, /31 days/],
    ['no deployment', { deployments: [] }, /At least one/],
    ['the address of a region', { deployments: [{ ...two[0], endpoint: REGION }] }, /custom subdomain/],
    ['one model and deployment twice', { deployments: [two[0], { ...two[0], priority: 2 }] }, /is listed twice/],
    ['an attempt that takes longer than Node waits', { model_timeout_seconds: 291 }, /300 seconds/],
    ['records that expire before their jobs', { record_ttl_days: 6 }, /paid for again/],
    ['another cloud', { azure_cloud: 'germany' }, /us-government/],
    ['a name that is too long for a service account', { name: 'a'.repeat(23) }, /22/],
  ] as const) {
    test(`refused: ${what}`, async () => {
      await assert.rejects(tryPlan('modules/google', { ...googleVariables, ...variables }), problem)
    })
  }
}

function planned(one: Made): Readonly<Record<string, unknown>> {
  const values = written(one, SERVICE)
  assert.ok(typeof values === 'object' && values !== null)
  return { ...values }
}

/** A block that stands once. */
function first(blocks: unknown): Readonly<Record<string, unknown>> {
  assert.ok(Array.isArray(blocks) && blocks.length === 1)
  return blocks[0]
}

function environmentOf(one: Made): Readonly<Record<string, string>> {
  const variables = valueAt(one, SERVICE, 'template.0.containers.0.env')
  assert.ok(Array.isArray(variables))
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]))
}
