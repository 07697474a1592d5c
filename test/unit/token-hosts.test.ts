import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readIdentity } from '../../shared/client/read-identity.ts'
import { azureClouds, cloudOf } from '../../shared/config/azure-clouds.ts'
import { type FileOrigin, readConfig } from '../../shared/config/config.ts'
import { configProblems } from '../support/config-problems.ts'

type Given = Readonly<Record<string, string | undefined>>

const enough: Given = {
  AZURE_TENANT_ID: 'contoso.onmicrosoft.com',
  AZURE_CLIENT_ID: '9b1c7e52-0f4d-4f0a-8c36-d1a5e7f3b902',
  AZURE_OPENAI_ENDPOINT: 'https://contoso.openai.azure.com',
  AZURE_OPENAI_DEPLOYMENT: 'gpt-4o',
  PUSH_AUDIENCE: 'https://worker.example/push',
  PUSH_SERVICE_ACCOUNT: 'push@contoso.iam.gserviceaccount.com',
  STORE: 'sqlite:state.db',
}

const problems = (over: Given, file: FileOrigin = {}) => configProblems(() => readConfig({ ...enough, ...over }, file))

const several = (...endpoints: readonly string[]) => ({
  AZURE_OPENAI_ENDPOINT: undefined,
  AZURE_OPENAI_DEPLOYMENT: undefined,
  DEPLOYMENTS: JSON.stringify(endpoints.map((endpoint, at) => ({ model: `m${at}`, endpoint, deployment: 'd' }))),
})

const UNKNOWN =
  /is no known host of AZURE_CLOUD=public .*, and tokens are sent to it\. Correct it, or set ALLOW_CUSTOM_HOSTS=true in the environment/

describe('an endpoint that gets tokens', () => {
  for (const endpoint of [
    'https://contoso.openai.azure.com',
    'https://CONTOSO.OpenAI.Azure.COM/openai/v1',
    'https://contoso.openai.azure.com:443',
    'https://contoso.cognitiveservices.azure.com',
    'https://contoso.services.ai.azure.com',
    'https://contoso.privatelink.openai.azure.com',
    'http://127.0.0.1:8081',
    'https://127.8.9.10',
    'http://localhost:8081',
    'http://[::1]:8081',
  ]) {
    test(`${endpoint} is known`, () => {
      assert.deepEqual(problems({ AZURE_OPENAI_ENDPOINT: endpoint }), [])
      assert.deepEqual(problems(several(endpoint)), [])
    })
  }

  for (const endpoint of [
    'https://contoso.openai.azure.com.evil.example',
    'https://evilopenai.azure.com',
    'https://evil-openai.azure.com',
    'https://openai.azure.com',
    'https://.openai.azure.com',
    'https://contoso.openai.azure.com.',
    'https://contoso.openai.azure.com:8443',
    'https://evil.example/contoso.openai.azure.com',
    'https://evil.example?.openai.azure.com',
    'https://evil.example#.openai.azure.com',
    'https://evil.example\\.openai.azure.com',
    'https://evil.example\\@contoso.openai.azure.com',
    'https://contoso.openаi.azure.com',
    'https://contoso.xn--openi-2fg.azure.com',
    'https://contoso.openai.azure.net',
    'https://contoso.azure-api.net',
    'https://127.0.0.1.evil.example',
    'https://localhost.evil.example',
    'https://10.0.0.7',
    'https://[::ffff:8.8.8.8]',
    'https://0.0.0.0',
    'https://169.254.169.254',
  ]) {
    test(`${endpoint} is refused, in either setting, unless the environment allows custom hosts`, () => {
      const [problem = '', ...others] = problems({ AZURE_OPENAI_ENDPOINT: endpoint })
      assert.match(problem, new RegExp(`^AZURE_OPENAI_ENDPOINT ${UNKNOWN.source}`))
      const listed = problems(several('https://contoso.openai.azure.com', endpoint))
      assert.match(listed.join(), new RegExp(`^DEPLOYMENTS: \\[1\\]\\.endpoint ${UNKNOWN.source}`))
      assert.deepEqual([others, listed.length], [[], 1])
      for (const given of [{ AZURE_OPENAI_ENDPOINT: endpoint }, several(endpoint)]) {
        assert.deepEqual(problems({ ...given, ALLOW_CUSTOM_HOSTS: 'true' }), [])
        assert.equal(problems({ ...given, ALLOW_CUSTOM_HOSTS: 'false' }).length, 1)
      }
    })
  }

  for (const endpoint of [
    'https://contoso.openai.azure.com@evil.example',
    'https://contoso.openai.azure.com:x@evil.example',
    'https://me:secret@contoso.openai.azure.com',
    'https://me@127.0.0.1',
  ]) {
    test(`${endpoint} is refused although custom hosts are allowed: it holds a user name`, () => {
      const given = { AZURE_OPENAI_ENDPOINT: endpoint, ALLOW_CUSTOM_HOSTS: 'true' }
      assert.deepEqual(problems(given), ['AZURE_OPENAI_ENDPOINT: must hold no user name and no password'])
    })
  }

  test('is kept as it was parsed, so that the clients read no other host in it', () => {
    const given = { AZURE_OPENAI_ENDPOINT: 'https:\\\\CONTOSO.openai.azure.com\\@evil.example' }
    const [deployment] = readConfig({ ...enough, ...given }).deployments
    assert.equal(deployment?.endpoint, 'https://contoso.openai.azure.com/@evil.example')
  })

  test('is not plain http, although its host is known', () => {
    const given = { AZURE_OPENAI_ENDPOINT: 'http://contoso.openai.azure.com' }
    assert.deepEqual(problems(given), ['AZURE_OPENAI_ENDPOINT: must be https'])
  })
})

describe('the authority that gets Google’s tokens', () => {
  for (const host of [
    'login.microsoftonline.com',
    'LOGIN.microsoftonline.com',
    'login.windows.net',
    '127.0.0.1:8443',
  ]) {
    test(`${host} is known`, () => assert.deepEqual(problems({ AZURE_AUTHORITY_HOST: `https://${host}` }), []))
  }

  for (const host of [
    'login.microsoftonline.com.evil.example',
    'evil.login.microsoftonline.com',
    'login.microsoftonline.com:8443',
    'login.microsoftonline.com.',
    'evillogin.microsoftonline.com',
    'login.microsoftonIine.com',
    'contoso.openai.azure.com',
    'evil.example',
  ]) {
    test(`${host} is refused, unless the environment allows custom hosts`, () => {
      const given = { AZURE_AUTHORITY_HOST: `https://${host}` }
      const [problem = '', ...others] = problems(given)
      assert.match(problem, new RegExp(`^AZURE_AUTHORITY_HOST ${UNKNOWN.source}`))
      assert.deepEqual(others, [])
      assert.deepEqual(problems({ ...given, ALLOW_CUSTOM_HOSTS: 'true' }), [])
    })
  }

  test('is held to the same rule where the client’s caller names it', () => {
    const identity = { tenantId: 'contoso', clientId: enough['AZURE_CLIENT_ID'] }
    const evil = { ...identity, authorityHost: 'https://login.microsoftonline.com.evil.example' }
    assert.throws(() => readIdentity(evil, {}), new RegExp(`authorityHost ${UNKNOWN.source}`))
    const allowed = readIdentity(evil, { ALLOW_CUSTOM_HOSTS: 'true' })
    assert.equal(allowed.federation.authorityHost, evil.authorityHost)
    const here = readIdentity({ ...identity, authorityHost: 'https://127.0.0.1:8443' }, {})
    assert.equal(here.federation.authorityHost, 'https://127.0.0.1:8443')
  })
})

describe('AZURE_CLOUD and the hosts that get tokens', () => {
  for (const [cloud, domain, authority] of [
    ['public', 'azure.com', 'login.microsoftonline.com'],
    ['us-government', 'azure.us', 'login.microsoftonline.us'],
    ['china', 'azure.cn', 'login.partner.microsoftonline.cn'],
  ] as const) {
    const endpoints = ['openai', 'cognitiveservices', 'services.ai'].map((name) => `https://contoso.${name}.${domain}`)
    const given = { ...several(...endpoints), AZURE_AUTHORITY_HOST: `https://${authority}` }

    test(`${cloud} has endpoints under ${domain}, and ${authority}`, () => {
      assert.deepEqual(problems({ ...given, AZURE_CLOUD: cloud }), [])
    })

    test(`hosts of ${cloud} are refused in the other clouds, and the error names the cloud to set`, () => {
      for (const other of Object.keys(azureClouds).filter((name) => name !== cloud)) {
        const found = problems({ ...given, AZURE_CLOUD: other })
        assert.equal(found.length, 4)
        for (const problem of found) {
          assert.match(problem, new RegExp(`is a host of AZURE_CLOUD=${cloud}, and AZURE_CLOUD is ${other}: set `))
        }
      }
    })
  }

  test('the authority that each cloud uses is one of its own', () => {
    for (const [cloud, { authorityHost }] of Object.entries(azureClouds)) {
      assert.equal(cloudOf('authority', new URL(authorityHost)), cloud)
    }
  })
})

describe('an address of this machine', () => {
  const given = { AZURE_OPENAI_ENDPOINT: 'http://127.0.0.1:8081', AZURE_AUTHORITY_HOST: 'https://localhost:8443' }

  test('is refused where the settings file names it: a local program would get tokens', () => {
    const found = problems(given, { fromFile: Object.keys(given) })
    const settings = found.map((problem) => problem.split(' ')[0])
    assert.deepEqual(settings, ['AZURE_AUTHORITY_HOST', 'AZURE_OPENAI_ENDPOINT'])
    for (const problem of found) assert.match(problem, /address of this machine.* from the environment only/)
    const listed = several('https://contoso.openai.azure.com', 'http://[::1]:1')
    assert.match(
      problems(listed, { fromFile: ['DEPLOYMENTS'] }).join(),
      /^DEPLOYMENTS: \[1\]\.endpoint is an address of/,
    )
  })

  test('is accepted from the environment, and from a file where the environment allows custom hosts', () => {
    assert.deepEqual(problems(given, { fromFile: ['AZURE_TENANT_ID'] }), [])
    const allowed = { ...given, ALLOW_CUSTOM_HOSTS: 'true' }
    assert.deepEqual(problems(allowed, { fromFile: Object.keys(given) }), [])
  })
})

test('ALLOW_CUSTOM_HOSTS is true or false, and nothing else allows anything', () => {
  for (const value of ['TRUE', '1', 'yes', 'evil.example', ' true']) {
    const found = problems({ ALLOW_CUSTOM_HOSTS: value, AZURE_OPENAI_ENDPOINT: 'https://evil.example' })
    const settings = found.map((problem) => problem.split(/[: ]/)[0])
    assert.deepEqual(settings, ['ALLOW_CUSTOM_HOSTS', 'AZURE_OPENAI_ENDPOINT'])
  }
})
