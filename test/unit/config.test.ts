import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readConfig, readStoresConfig } from '../../shared/config/config.ts'
import { ConfigError } from '../../shared/config/config-error.ts'
import { settings } from '../../shared/config/schema.ts'
import { aDeployment } from '../support/deployment-builders.ts'

type Given = Readonly<Record<string, string | undefined>>

const enough: Given = {
  AZURE_TENANT_ID: 'contoso.onmicrosoft.com',
  AZURE_CLIENT_ID: '9b1c7e52-0f4d-4f0a-8c36-d1a5e7f3b902',
  AZURE_OPENAI_ENDPOINT: 'https://contoso.openai.azure.com/',
  AZURE_OPENAI_DEPLOYMENT: 'gpt-4o-mini',
  PUSH_AUDIENCE: 'https://worker.example/push',
  PUSH_SERVICE_ACCOUNT: 'push@contoso.iam.gserviceaccount.com',
  STORE: 'sqlite:state.db',
}

/** A host of every cloud. */
const HERE = 'http://127.0.0.1:8081'

const read = (over: Given = {}) => readConfig({ ...enough, ...over })

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
const problems = (over: Given = {}) => problemsOf(() => read(over))

test('settings that are enough: every other one has its default', () => {
  assert.partialDeepStrictEqual(read(), {
    host: '0.0.0.0',
    port: 8_080,
    ackDeadlineMs: 600_000,
    modelTimeoutMs: 120_000,
    maxInFlight: 100,
    logLevel: 'info',
    maxJobAgeMs: 7 * 86_400_000,
    jobsTopic: 'promptbridge-jobs',
    retry: { maxAttempts: 5, onUnknown: 'retry' },
    // It fits an instance of 512 MiB.
    maxInFlightBytes: 32_000_000,
    federation: {
      audience: 'api://AzureADTokenExchange',
      scope: 'https://cognitiveservices.azure.com/.default',
      authorityHost: 'https://login.microsoftonline.com',
    },
  })
})

test('settings that are enough: the one deployment serves its own name', () => {
  const endpoint = 'https://contoso.openai.azure.com'
  assert.deepEqual(read().deployments, [aDeployment({ model: 'gpt-4o-mini', endpoint, deployment: 'gpt-4o-mini' })])
})

const account = 'worker@contoso.iam.gserviceaccount.com'
const firestore = { STORE: 'firestore', GOOGLE_CLOUD_PROJECT: 'p' }
const records = 'promptbridge-records'

describe('a setting is read', () => {
  for (const [what, given, expected] of [
    ['the v1 API where no version is given', {}, { apiVersion: undefined }],
    ['a dated version of the API', { OPENAI_API_VERSION: '2024-10-21' }, { apiVersion: '2024-10-21' }],
    ['a preview of the API', { OPENAI_API_VERSION: '2025-03-01-preview' }, { apiVersion: '2025-03-01-preview' }],
    ['the metadata server where no source of tokens is given', {}, { tokenSource: { kind: 'metadata-server' } }],
    ['no host of the metadata server where none is given', {}, { metadataHost: undefined }],
    ['the metadata host of Google’s libraries', { GCE_METADATA_HOST: '127.0.0.1:1' }, { metadataHost: '127.0.0.1:1' }],
    [
      'a service account to impersonate',
      { TOKEN_SOURCE: `impersonate:${account}` },
      { tokenSource: { kind: 'impersonate', serviceAccount: account } },
    ],
    [
      'the Azure CLI, without a client id',
      { TOKEN_SOURCE: 'azure-cli', AZURE_CLIENT_ID: undefined },
      { tokenSource: { kind: 'azure-cli' } },
    ],
    [
      'the default database where none is given, as it was before the setting',
      firestore,
      { store: { kind: 'firestore', project: 'p', database: '(default)' } },
    ],
    [
      'another database',
      { ...firestore, FIRESTORE_DATABASE: records },
      { store: { kind: 'firestore', project: 'p', database: records } },
    ],
    ['a megabyte of pushes in flight', { MAX_IN_FLIGHT_BYTES: '1000000' }, { maxInFlightBytes: 1_000_000 }],
    ['no limit of tokens a day where none is given', {}, { dailyTokenLimit: undefined }],
    ['no limit of tokens a day where it is empty', { DAILY_TOKEN_LIMIT: '' }, { dailyTokenLimit: undefined }],
    ['a limit of one token a day', { DAILY_TOKEN_LIMIT: '1' }, { dailyTokenLimit: 1 }],
    ['a limit of five billion tokens a day', { DAILY_TOKEN_LIMIT: '5000000000' }, { dailyTokenLimit: 5_000_000_000 }],
    ['no body fields where none is given', {}, { allowedBodyFields: [] }],
  ] as const) {
    test(`as ${what}`, () => {
      const config: Readonly<Record<string, unknown>> = { ...read(given) }
      for (const [name, value] of Object.entries(expected)) assert.deepEqual(config[name], value)
    })
  }

  test('as another database by the commands, too', () => {
    const { store } = readStoresConfig({ ...enough, ...firestore, FIRESTORE_DATABASE: records })
    assert.deepEqual(store, { kind: 'firestore', project: 'p', database: records })
  })
})

describe('a setting is refused, and the error shows how it is written', () => {
  for (const [name, problem, ...values] of [
    ['AZURE_CLOUD', /^AZURE_CLOUD: /, 'germany'],
    [
      'TOKEN_SOURCE',
      /^TOKEN_SOURCE: must be metadata-server, azure-cli, or /,
      ...['gcloud', 'impersonate', 'impersonate:', 'impersonate:me@example.com', 'impersonate:a/b@c'],
    ],
    [
      'FIRESTORE_DATABASE',
      /^FIRESTORE_DATABASE: must be \(default\), or 4 to 63 /,
      ...['abc', 'Records', 'a/b/../c', '1abc', 'records-', 'x'.repeat(64)],
    ],
    [
      'OPENAI_API_VERSION',
      /^OPENAI_API_VERSION: must be a dated version such as 2024-10-21/,
      ...['v1', 'preview', '2024', '2024-10-21-beta', '2024-10-21&x=y', '/2024-10-21'],
    ],
    ['ACK_DEADLINE_SECONDS', /^ACK_DEADLINE_SECONDS: /, '9', '601', '10.5', 'ten'],
    ['MAX_IN_FLIGHT_BYTES', /^MAX_IN_FLIGHT_BYTES: /, '999999', '100000000001', '1000000.5', '64MiB'],
    ['DAILY_TOKEN_LIMIT', /^DAILY_TOKEN_LIMIT: /, '0', '-1', '1.5', '2M', '1e99'],
    ['RECORD_TTL_DAYS', /^RECORD_TTL_DAYS: /, 'a week'],
    ['AZURE_AUTHORITY_HOST', /^AZURE_AUTHORITY_HOST: must be an https URL$/, 'http://127.0.0.1:1'],
    ['AZURE_OPENAI_ENDPOINT', /^AZURE_OPENAI_ENDPOINT: must be https$/, 'http://10.0.0.7'],
  ] as const) {
    for (const value of values) {
      test(`${name}=${value}`, () => {
        const reported = problems({ ...firestore, [name]: value })
        assert.ok(reported.length > 0 && reported.every((line) => problem.test(line)), reported.join())
      })
    }
  }

  test('AZURE_CLIENT_ID is missing, where the Azure CLI is not the source of tokens', () => {
    assert.deepEqual(problems({ AZURE_CLIENT_ID: undefined }), ['AZURE_CLIENT_ID is missing'])
  })
})

describe('AZURE_CLOUD', () => {
  for (const [AZURE_CLOUD, authorityHost, audience, scope] of [
    ['public', 'login.microsoftonline.com', 'AzureADTokenExchange', 'cognitiveservices.azure.com'],
    ['us-government', 'login.microsoftonline.us', 'AzureADTokenExchangeUSGov', 'cognitiveservices.azure.us'],
    ['china', 'login.partner.microsoftonline.cn', 'AzureADTokenExchangeChina', 'cognitiveservices.azure.cn'],
  ] as const) {
    test(`${AZURE_CLOUD} gives authority, audience and scope`, () => {
      assert.partialDeepStrictEqual(read({ AZURE_CLOUD, AZURE_OPENAI_ENDPOINT: HERE }).federation, {
        authorityHost: `https://${authorityHost}`,
        audience: `api://${audience}`,
        scope: `https://${scope}/.default`,
      })
    })
  }

  for (const [name, field, value] of [
    ['AZURE_AUTHORITY_HOST', 'authorityHost', 'https://login.chinacloudapi.cn'],
    ['AZURE_FEDERATED_AUDIENCE', 'audience', 'api://own'],
    ['AZURE_OPENAI_SCOPE', 'scope', 'api://own/.default'],
  ] as const) {
    test(`yields to ${name} alone where that is set by itself`, () => {
      const china = { AZURE_CLOUD: 'china', AZURE_OPENAI_ENDPOINT: HERE }
      const { federation } = read(china)
      assert.deepEqual(read({ ...china, [name]: value }).federation, { ...federation, [field]: value })
    })
  }
})

describe('settings that are missing', () => {
  test('are all reported at once, a line each', () => {
    const reported = problemsOf(() => readConfig({}))
    const missing = reported.map((line) => line.split(' ')[0])
    const required = [...Object.keys(enough).filter((name) => name !== 'STORE'), 'GOOGLE_CLOUD_PROJECT']
    assert.deepEqual(missing.toSorted(), required.toSorted())
    assert.ok(reported.every((line) => line.includes(' is missing')))
  })

  test('leave the project out where the store is a file, and only there', () => {
    assert.deepEqual(problems({ GOOGLE_CLOUD_PROJECT: undefined }), [])
    const [problem, ...others] = problems({ GOOGLE_CLOUD_PROJECT: undefined, STORE: 'firestore' })
    assert.match(problem ?? '', /^GOOGLE_CLOUD_PROJECT is missing/)
    assert.deepEqual(others, [])
  })

  test('stand beside what is wrong with the others', () => {
    const wrong = { AZURE_CLIENT_ID: 'my-app', AZURE_TENANT_ID: undefined, OPENAI_API_KEY: 'x', PORT: '70000' }
    const reported = problems(wrong).map((line) => line.split(/[: ]/)[0])
    assert.deepEqual(reported.toSorted(), Object.keys(wrong))
  })

  for (const blank of ['', '  ']) {
    test(`include one that is ${JSON.stringify(blank)}`, () => {
      assert.deepEqual(problems({ AZURE_TENANT_ID: blank }), ['AZURE_TENANT_ID is missing'])
      assert.equal(read({ PORT: blank }).port, 8_080)
    })
  }
})

const secrets = [
  'AZURE_OPENAI_API_KEY',
  'AZURE_OPENAI_KEY',
  'OPENAI_API_KEY',
  'OPENAI_ADMIN_KEY',
  'AZURE_OPENAI_AD_TOKEN',
  'AZURE_API_KEY',
  'AZURE_AI_API_KEY',
  'AZURE_INFERENCE_CREDENTIAL',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_PASSWORD',
] as const

describe('a secret in the environment', () => {
  for (const name of secrets) {
    test(`${name} is refused, with the reason`, () => {
      const [reported, ...others] = problems({ [name]: 'sk-canary' })
      assert.match(reported ?? '', new RegExp(`^${name} is set: no key is needed .* federated identity`))
      assert.deepEqual(others, [])
    })
  }

  test('counts as absent when it is empty', () => {
    assert.deepEqual(problems({ OPENAI_API_KEY: '' }), [])
  })
})

describe('no value is ever quoted', () => {
  const canary = 'canary-7f3a'
  const quotes = (message: string) => message.includes(canary)

  test('the finder finds a planted canary', () => {
    assert.ok(quotes(new ConfigError([`PORT: ${canary} is no port`]).message))
  })

  for (const name of [...Object.keys(settings.shape), ...secrets]) {
    test(`not that of ${name}`, () => {
      const inside = JSON.stringify([{ model: canary, endpoint: canary, deployment: canary, priority: canary }])
      for (const value of [canary, ` ${canary}`, `https://${canary}:x`, `sqlite ${canary}`, inside]) {
        const reported = problems({ [name]: value }).join('\n')
        assert.ok(!quotes(reported), reported)
      }
    })
  }
})

describe('PUSH_AUTH=off', () => {
  const open = { PUSH_AUTH: 'off', PUSH_AUDIENCE: undefined, PUSH_SERVICE_ACCOUNT: undefined }

  for (const HOST of ['127.0.0.1', '127.0.0.2', '::1', '[::1]', 'localhost']) {
    test(`is allowed on ${HOST}, and needs no audience`, () => {
      assert.deepEqual(read({ ...open, HOST }).pushAuth, { mode: 'off' })
    })
  }

  for (const HOST of ['0.0.0.0', '::', '10.0.0.7', 'localhost.example', '127.0.0.1.example', undefined]) {
    test(`is refused on ${HOST ?? 'the default host'}`, () => {
      assert.match(problems({ ...open, HOST }).join(), /^PUSH_AUTH can be off only where HOST is 127\.0\.0\.1/)
    })
  }

  test('is the only mode without an audience and a service account', () => {
    for (const PUSH_AUTH of ['verify', 'cloud-run-iam']) {
      assert.equal(problems({ ...open, PUSH_AUTH }).length, 2)
      assert.deepEqual(read({ PUSH_AUTH }).pushAuth, {
        mode: PUSH_AUTH,
        audience: enough['PUSH_AUDIENCE'],
        serviceAccount: enough['PUSH_SERVICE_ACCOUNT'],
      })
    }
  })
})

describe('a SQLite file', () => {
  const none = { PUSH_AUDIENCE: undefined, PUSH_SERVICE_ACCOUNT: undefined }

  test('without PUSH_AUTH: the worker delivers it itself on any host, and accepts no push', () => {
    const { pushAuth, deliversItself } = read({ ...none, HOST: '0.0.0.0' })
    assert.deepEqual([pushAuth, deliversItself], [{ mode: 'none' }, true])
  })

  test('with PUSH_AUTH=off: the worker delivers it itself, and accepts pushes as well', () => {
    assert.equal(read({ ...none, PUSH_AUTH: 'off', HOST: '127.0.0.1' }).deliversItself, true)
  })

  test('with pushes that are checked: they deliver it', () => {
    assert.equal(read({ PUSH_AUTH: 'verify' }).deliversItself, false)
  })

  test('Pub/Sub always pushes, and its pushes are checked without PUSH_AUTH', () => {
    const { pushAuth, deliversItself } = read({ STORE: 'firestore', GOOGLE_CLOUD_PROJECT: 'contoso' })
    assert.deepEqual([pushAuth.mode, deliversItself], ['verify', false])
  })
})

describe('ALLOW_BODY_FIELDS', () => {
  const allowed = (ALLOW_BODY_FIELDS: string) => read({ ALLOW_BODY_FIELDS }).allowedBodyFields

  test('are names separated by commas', () => {
    assert.deepEqual(allowed('data_sources, tools.mcp,,store '), ['data_sources', 'tools.mcp', 'store'])
    assert.deepEqual(allowed('other.top_k,other,tools'), ['other.top_k', 'other', 'tools'])
  })

  test('that are unknown are refused, with the name that was probably meant', () => {
    for (const [name, meant] of [
      ['data_source', 'data_sources'],
      ['Store', 'store'],
      ['tools.mpc', 'tools.mcp'],
      ['image_urls', 'image_url'],
    ] as const) {
      assert.deepEqual(problems({ ALLOW_BODY_FIELDS: `store,${name}` }), [
        `ALLOW_BODY_FIELDS: unknown field "${name}"; did you mean "${meant}"? (a field that this version does not know is named other.NAME)`,
      ])
    }
    assert.equal(problems({ ALLOW_BODY_FIELDS: 'temperature,*' }).length, 2)
  })

  test('are refused without quoting a name that may be a secret', () => {
    assert.doesNotMatch(problems({ ALLOW_BODY_FIELDS: 'sk-canary-7f3a' }).join(), /canary/)
  })
})

describe('DEPLOYMENTS', () => {
  const several = { AZURE_OPENAI_ENDPOINT: undefined, AZURE_OPENAI_DEPLOYMENT: undefined }
  const one = { model: 'gpt-4o', endpoint: 'https://eu.openai.azure.com', deployment: 'gpt-4o-eu' }
  const given = (...list: readonly object[]) => ({ ...several, DEPLOYMENTS: JSON.stringify(list) })

  test('stand in order of their priority, and as given where it is the same', () => {
    const list = [3, 1, 2, 1].map((priority, at) => ({ ...one, priority, deployment: `d${at}` }))
    const names = read(given(...list)).deployments.map(({ deployment }) => deployment)
    assert.deepEqual(names, ['d1', 'd3', 'd2', 'd0'])
  })

  test('have priority 1, and the name that Azure knows, when they give none', () => {
    assert.deepEqual(read(given(one)).deployments, [aDeployment(one)])
  })

  test('have the limit that is theirs, or MAX_OUTPUT_TOKENS where that is set, and none by default', () => {
    const list = given({ ...one, maxOutputTokens: 7 }, { ...one, deployment: 'other' })
    const limits = (over: Given) => read(over).deployments.map(({ maxOutputTokens }) => maxOutputTokens)
    assert.deepEqual(limits(list), [7, undefined])
    assert.deepEqual(limits({ ...list, MAX_OUTPUT_TOKENS: '5' }), [7, 5])
    assert.deepEqual(limits({ MAX_OUTPUT_TOKENS: '5' }), [5])
    assert.deepEqual([read(list).maxOutputTokens, read({ MAX_OUTPUT_TOKENS: '5' }).maxOutputTokens], [32_768, 5])
  })

  const eu = { ...one, name: 'x' }
  const us = { ...one, endpoint: 'https://us.openai.azure.com' }
  const alias = { ...one, model: 'gpt-4o-2024-08-06' }
  const unknown = (field: string, meant: string) =>
    new RegExp(`^DEPLOYMENTS: .*unknown field "${field}"; did you mean "${meant}"\\?.*at \\[0\\]`)
  for (const [what, over, problem] of [
    ['the field modle', given({ ...one, modle: 'x' }), unknown('modle', 'model')],
    ['the field Endpoint', given({ ...one, Endpoint: 'x' }), unknown('Endpoint', 'endpoint')],
    ['the field deployments', given({ ...one, deployments: 'x' }), unknown('deployments', 'deployment')],
    ['the field rmp', given({ ...one, rmp: 'x' }), unknown('rmp', 'rpm')],
    ['a field that is like no other', given({ ...one, key: 'x' }), /^DEPLOYMENTS: .*"key"/],
    [
      'a name with a star',
      given({ ...one, name: '* at eu.openai.azure.com' }),
      /^DEPLOYMENTS: .*letters, digits.*\[0\]\.name/,
    ],
    ['a name of two lines', given({ ...one, name: 'a\nb' }), /^DEPLOYMENTS: .*letters, digits.*\[0\]\.name/],
    ['a name of 101 letters', given({ ...one, name: 'a'.repeat(101) }), /^DEPLOYMENTS: .*letters, digits.*\[0\]\.name/],
    ['no JSON', { ...several, DEPLOYMENTS: '[{' }, /^DEPLOYMENTS: is not JSON$/],
    ['no entry', given(), /^DEPLOYMENTS: .*>=1/],
    ['another provider', given({ ...one, provider: 'bedrock' }), /^DEPLOYMENTS: .*must be azure-openai/],
    ['an entry without an endpoint', given(one, { ...one, endpoint: undefined }), /^DEPLOYMENTS: .*\[1\]\.endpoint/],
    ['a limit of 0', given({ ...one, maxOutputTokens: 0 }), /^DEPLOYMENTS: .*\[0\]\.maxOutputTokens/],
    ['a limit of 1.5', given({ ...one, maxOutputTokens: 1.5 }), /^DEPLOYMENTS: .*\[0\]\.maxOutputTokens/],
    ['a limit that is a text', given({ ...one, maxOutputTokens: '5' }), /^DEPLOYMENTS: .*\[0\]\.maxOutputTokens/],
    [
      'one model and deployment twice, however the address is written',
      given(one, { ...one, endpoint: 'https://EU.openai.azure.com/openai/v1/', priority: 2 }),
      /^DEPLOYMENTS: \[1\] names the same model and deployment as \[0\]: remove one$/,
    ],
    [
      'one name for two deployments',
      given(eu, { ...us, name: 'x' }),
      /^DEPLOYMENTS: \[1\] and \[0\] have one name and are two deployments: give each a name of its own$/,
    ],
    [
      'two names for one deployment',
      given(eu, alias),
      /^DEPLOYMENTS: \[1\] and \[0\] are one deployment with two names: give both the same name$/,
    ],
    [
      'a single deployment beside them',
      { ...given(one), AZURE_OPENAI_DEPLOYMENT: 'gpt-4o' },
      /^AZURE_OPENAI_DEPLOYMENT stands beside DEPLOYMENTS: give one or the other$/,
    ],
  ] as const) {
    test(`with ${what} are refused`, () => {
      const [reported, ...others] = problems(over)
      assert.match(reported ?? '', problem)
      assert.deepEqual(others, [])
    })
  }

  test('are refused without quoting an unknown field that may be a secret', () => {
    const reported = problems(given({ ...one, 'sk-canary 7f3a': 'x' })).join()
    assert.match(reported, /^DEPLOYMENTS: .*a field that is unknown/)
    assert.doesNotMatch(reported, /canary/)
  })

  test('may serve two models by one deployment, and be called the same on two resources: their names have the host', () => {
    const namesOf = (...list: readonly object[]) => read(given(...list)).deployments.map(({ name }) => name)
    assert.deepEqual(namesOf(one, alias), ['gpt-4o-eu', 'gpt-4o-eu'])
    const [inEu, inUs] = ['gpt-4o-eu at eu.openai.azure.com', 'gpt-4o-eu at us.openai.azure.com']
    assert.deepEqual(namesOf(one, alias, us), [inEu, inEu, inUs])
    assert.deepEqual(namesOf({ ...one, name: 'europe' }, us), ['europe', inUs])
  })
})

test('the URL of Azure OpenAI may be plain http on this machine', () => {
  assert.deepEqual(problems({ AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:8081' }), [])
})

// Case 11: https://learn.microsoft.com/azure/ai-services/cognitive-services-custom-subdomains lists these.
describe('an endpoint that is a region’s, where Entra tokens are refused', () => {
  const toBeFixed = /is the address of a region.* custom subdomain .*use https:\/\/NAME\.openai\.azure\.com/
  for (const url of [
    'https://westeurope.api.cognitive.microsoft.com/',
    'https://WestEurope.API.cognitive.microsoft.com:443/openai/v1',
    'https://virginia.api.cognitive.microsoft.us',
    'https://chinaeast2.api.cognitive.azure.cn',
  ]) {
    test(`${url} is refused, and the error says what to do`, () => {
      const [single, ...others] = problems({ AZURE_OPENAI_ENDPOINT: url })
      assert.deepEqual([others, single?.startsWith('AZURE_OPENAI_ENDPOINT: ')], [[], true])
      assert.match(single ?? '', toBeFixed)
      const several = { AZURE_OPENAI_ENDPOINT: undefined, AZURE_OPENAI_DEPLOYMENT: undefined }
      const DEPLOYMENTS = JSON.stringify([{ model: 'm', endpoint: url, deployment: 'd' }])
      assert.match(problems({ ...several, DEPLOYMENTS }).join(), /^DEPLOYMENTS: .*\[0\]\.endpoint/)
    })
  }

  for (const url of [
    'https://contoso.openai.azure.com',
    'https://contoso.cognitiveservices.azure.com',
    'https://contoso.services.ai.azure.com',
    'https://gateway.example.com/westeurope.api.cognitive.microsoft.com',
  ]) {
    test(`${url} is not one`, () => {
      assert.deepEqual(problems({ AZURE_OPENAI_ENDPOINT: url, ALLOW_CUSTOM_HOSTS: 'true' }), [])
    })
  }
})

describe('topics', () => {
  const GOOGLE_CLOUD_PROJECT = 'contoso'

  for (const [given, ...reported] of [
    [{ JOBS_TOPIC: 'a', DEAD_LETTER_TOPIC: 'a' }, 'DEAD_LETTER_TOPIC is the same topic as JOBS_TOPIC'],
    [{ DEAD_LETTER_TOPIC: 'promptbridge-jobs' }, 'DEAD_LETTER_TOPIC is the same topic as JOBS_TOPIC'],
    [{ EVENTS_TOPIC: ' promptbridge-jobs ' }, 'EVENTS_TOPIC is the same topic as JOBS_TOPIC'],
    [
      { EVENTS_TOPIC: 'projects/contoso/topics/promptbridge-dead-letter' },
      'EVENTS_TOPIC is the same topic as DEAD_LETTER_TOPIC',
    ],
    [
      { JOBS_TOPIC: 'a', DEAD_LETTER_TOPIC: 'projects/contoso/topics/a', EVENTS_TOPIC: 'a' },
      'DEAD_LETTER_TOPIC is the same topic as JOBS_TOPIC',
      'EVENTS_TOPIC is the same topic as JOBS_TOPIC',
      'EVENTS_TOPIC is the same topic as DEAD_LETTER_TOPIC',
    ],
    [{ EVENTS_TOPIC: 'projects/fabrikam/topics/promptbridge-jobs' }],
    [{ JOBS_TOPIC: 'a', DEAD_LETTER_TOPIC: 'A', EVENTS_TOPIC: 'a-events' }],
  ] as const) {
    test(`${JSON.stringify(given)}: ${reported.join(' and ') || 'each is its own'}`, () => {
      const expected = reported.map((problem) => `${problem}: each needs a topic of its own`)
      assert.deepEqual(problems({ GOOGLE_CLOUD_PROJECT, ...given }), expected)
    })
  }

  test('are compared where no project is needed, too', () => {
    assert.equal(problems({ EVENTS_TOPIC: 'promptbridge-jobs' }).length, 1)
  })
})

describe('RECORD_TTL_DAYS', () => {
  const reported =
    /^RECORD_TTL_DAYS is shorter than MAX_JOB_AGE_DAYS: a job whose record is gone is paid for again\. Set /

  test('that is shorter than MAX_JOB_AGE_DAYS is refused: the job would be paid for again each day', () => {
    assert.match(problems({ RECORD_TTL_DAYS: '1' }).join(), reported)
    assert.match(problems({ MAX_JOB_AGE_DAYS: '31' }).join(), reported)
    assert.match(problems({ RECORD_TTL_DAYS: '9', MAX_JOB_AGE_DAYS: '10' }).join(), reported)
  })

  test('may be as long as MAX_JOB_AGE_DAYS', () => {
    for (const days of ['1', '7', '3650']) {
      assert.deepEqual(problems({ RECORD_TTL_DAYS: days, MAX_JOB_AGE_DAYS: days }), [])
    }
  })
})

test('an endpoint may be given with the API’s path, as the portal shows it', () => {
  const endpoint = 'https://contoso.openai.azure.com'
  for (const path of ['', '/', '/openai', '/openai/v1', '/openai/v1/']) {
    assert.equal(read({ AZURE_OPENAI_ENDPOINT: endpoint + path }).deployments[0]?.endpoint, endpoint, path)
  }
})

describe('timeouts', () => {
  // 95 % of a push can be used, of which ten seconds, or half of a short push, are for the start.
  for (const [ACK_DEADLINE_SECONDS, most] of [
    ['10', 4],
    ['20', 9],
    ['60', 47],
    ['120', 104],
    ['600', 290],
  ] as const) {
    test(`of ${ACK_DEADLINE_SECONDS} s for a push leave ${most} s for a send: a job needs time to start`, () => {
      assert.deepEqual(problems({ ACK_DEADLINE_SECONDS, MODEL_TIMEOUT_SECONDS: String(most) }), [])
      const tooLong = problems({ ACK_DEADLINE_SECONDS, MODEL_TIMEOUT_SECONDS: String(most + 1) }).join()
      if (most < 290) {
        assert.match(
          tooLong,
          /^MODEL_TIMEOUT_SECONDS is longer than ACK_DEADLINE_SECONDS leaves to a job after its start/,
        )
        assert.match(tooLong, new RegExp(`Set it to ${most} at most, or set a longer ACK_DEADLINE_SECONDS`))
      }
    })
  }

  test('are held against each other where one of them is the default', () => {
    assert.match(problems({ ACK_DEADLINE_SECONDS: '136' }).join(), /^MODEL_TIMEOUT_SECONDS is longer/)
    assert.deepEqual(problems({ ACK_DEADLINE_SECONDS: '137' }), [])
  })

  test('end an ask before Node’s own client gives it up, at 300 s', () => {
    assert.deepEqual(problems({ MODEL_TIMEOUT_SECONDS: '290' }), [])
    assert.match(problems({ MODEL_TIMEOUT_SECONDS: '291' }).join(), /^MODEL_TIMEOUT_SECONDS: /)
  })
})
