import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { readConfig, readStoresConfig } from '../../shared/config/config.ts'
import { settings } from '../../shared/config/schema.ts'
import { withSettingsFile } from '../../shared/config/settings-file.ts'
import { configProblems } from '../support/config-problems.ts'

function aFile(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'settings-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'promptbridge.env')
  writeFileSync(path, text)
  return path
}

/** What is wrong with a file of this text, without the file's own folder. */
function problemsOf(t: TestContext, text: string): readonly string[] {
  const path = aFile(t, text)
  return withSettingsFile({}, path).fileProblems.map((problem) => problem.replaceAll(path, 'promptbridge.env'))
}

describe('the settings file', () => {
  const read = (t: TestContext, text: string, environment = {}) =>
    withSettingsFile(environment, aFile(t, text)).environment

  test('gives what the environment does not', (t) => {
    assert.equal(read(t, 'PORT=9000\n# a comment\n')['PORT'], '9000')
  })

  test('may begin with a byte order mark, as some editors write it', (t) => {
    const given = withSettingsFile({}, aFile(t, '\uFEFFPORT=9000\r\nHOST=::1\r\n'))
    assert.deepEqual([given.environment['PORT'], given.environment['HOST'], given.fileProblems], ['9000', '::1', []])
  })

  test('yields to the environment', (t) => {
    assert.equal(read(t, 'PORT=9000', { PORT: '9001' })['PORT'], '9001')
  })

  test('is not hidden by a variable that is empty', (t) => {
    assert.equal(read(t, 'PORT=9000', { PORT: '' })['PORT'], '9000')
  })

  test('need not be there', () => {
    const given = withSettingsFile({ PORT: '1' }, '/no/such/promptbridge.env')
    assert.deepEqual(given, { environment: { PORT: '1' }, fileProblems: [], fromFile: [], isFileRead: false })
  })

  test('that cannot be read is a problem', () => {
    assert.deepEqual(withSettingsFile({}, tmpdir()).fileProblems, [`${tmpdir()} cannot be read`])
  })

  test('may hold every setting but those that decide where tokens go and what is trusted', (t) => {
    const names = Object.keys(settings.shape).filter((name) => !['ALLOW_CUSTOM_HOSTS', 'PUSH_CERTS_URL'].includes(name))
    assert.deepEqual(problemsOf(t, names.map((name) => `${name}=x`).join('\n')), [])
  })

  test('says which settings are from it: those that the environment does not have', (t) => {
    const given = withSettingsFile({ PORT: '1', HOST: '' }, aFile(t, 'PORT=2\nHOST=::1\nSTORE=\n'))
    assert.deepEqual([given.fromFile, given.isFileRead], [['HOST'], true])
  })
})

describe('an unknown name in the settings file', () => {
  for (const [given, meant] of [
    ['JOB_TOPIC', 'JOBS_TOPIC'],
    ['RECORD_TTL_DAY', 'RECORD_TTL_DAYS'],
    ['MAX_JOB_AGE_DASY', 'MAX_JOB_AGE_DAYS'],
    ['GOOGLE_CLOUD_PROJEKT', 'GOOGLE_CLOUD_PROJECT'],
    ['AZURE_OPENAI_DEPLOYMENT_NAME', 'AZURE_OPENAI_DEPLOYMENT'],
    ['AZURE_OPENAI_API_VERSION', 'OPENAI_API_VERSION'],
    ['PORTS', 'PORT'],
  ]) {
    test(`${given} is refused: did you mean ${meant}?`, (t) => {
      assert.deepEqual(problemsOf(t, `PORT=1\n${given}=x\n`), [
        `${given} is unknown in promptbridge.env; did you mean ${meant}?`,
      ])
    })
  }

  for (const given of ['OPENAI_BASE_URL', 'REGION', `A${'B'.repeat(63)}`]) {
    test(`${given} is refused without a guess: no setting is like it`, (t) => {
      assert.deepEqual(problemsOf(t, `${given}=x`), [
        `${given} is unknown in promptbridge.env. Remove it; what other programs read belongs in the environment of the process.`,
      ])
    })
  }

  test('that is not written as names are is reported by its line: it may be a secret', (t) => {
    const reported = problemsOf(t, '# first\nPORT=1\nc2stY2FuYXJ5==\nexport jobs_topic=a\n\uFEFFHOST=::1\n')
    assert.deepEqual(reported, [
      'the name on line 3 is unknown in promptbridge.env. Remove it; what other programs read belongs in the environment of the process.',
      'the name on line 4 is unknown in promptbridge.env; did you mean JOBS_TOPIC?',
      'the name on line 5 is unknown in promptbridge.env; did you mean HOST?',
    ])
  })

  test('without a value counts as absent', (t) => {
    assert.deepEqual(problemsOf(t, 'JOB_TOPIC=\nNODE_EXTRA_CA_CERTS=""\n'), [])
  })

  test('in the environment is none of ours', (t) => {
    const path = aFile(t, '')
    const environment = { JOB_TOPIC: 'x', NODE_EXTRA_CA_CERTS: '/ca.pem' }
    assert.partialDeepStrictEqual(withSettingsFile(environment, path), { environment, fileProblems: [] })
  })
})

describe('what the settings file must not decide', () => {
  for (const name of [
    'ALLOW_CUSTOM_HOSTS',
    'PUSH_CERTS_URL',
    'GCE_METADATA_HOST',
    'GCE_METADATA_IP',
    'FIRESTORE_EMULATOR_HOST',
    'PUBSUB_EMULATOR_HOST',
    'STORAGE_EMULATOR_HOST',
    'K_SERVICE',
    'K_REVISION',
  ]) {
    test(`${name} is refused there by its name, with the reason, and does not take effect`, (t) => {
      assert.deepEqual(problemsOf(t, `${name}=true\n`), [
        `${name} is refused in promptbridge.env: a file must not decide where tokens go, or what is trusted. Set it in the environment of the process.`,
      ])
      const path = aFile(t, `${name}=true\n`)
      assert.deepEqual(withSettingsFile({}, path).environment, {})
      assert.deepEqual(withSettingsFile({ [name]: 'own' }, path).environment, { [name]: 'own' })
      assert.deepEqual(withSettingsFile({ [name]: '' }, path).environment, {})
    })
  }

  for (const given of ['allow_custom_hosts', 'ALLOW_CUSTOM_HOST', 'export ALLOW_CUSTOM_HOSTS', 'ALLOW_CUSTOM_HOSTS ']) {
    test(`${JSON.stringify(given)} does not take effect either`, (t) => {
      const path = aFile(t, `AZURE_OPENAI_ENDPOINT=https://evil.example\n${given}=true\n`)
      const { environment, ...file } = withSettingsFile({}, path)
      assert.deepEqual([Object.keys(environment), file.fileProblems.length], [['AZURE_OPENAI_ENDPOINT'], 1])
      assert.throws(
        () => readConfig(environment, { ...file, fileProblems: [] }),
        /AZURE_OPENAI_ENDPOINT is no known host of AZURE_CLOUD=public/,
      )
    })
  }

  test('is an address of this machine for tokens, which the environment may name', (t) => {
    const { environment, ...file } = withSettingsFile({}, aFile(t, 'AZURE_AUTHORITY_HOST=https://127.0.0.1:8443\n'))
    assert.throws(() => readConfig(environment, file), /AZURE_AUTHORITY_HOST is an address of this machine/)
    const fromEnvironment = configProblems(() => readConfig(environment))
    assert.ok(fromEnvironment.every((problem) => !problem.includes('AZURE_AUTHORITY_HOST')))
  })
})

describe('what has no effect in the settings file', () => {
  for (const name of [
    'NODE_EXTRA_CA_CERTS',
    'NODE_OPTIONS',
    'NODE_USE_ENV_PROXY',
    'NODE_TLS_REJECT_UNAUTHORIZED',
    'HTTPS_PROXY',
    'https_proxy',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'TZ',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'CLOUDSDK_CONFIG',
    'GOOGLE_CLOUD_UNIVERSE_DOMAIN',
    'GOOGLE_API_USE_MTLS_ENDPOINT',
    'GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES',
    'METADATA_SERVER_DETECTION',
    'AZURE_REGIONAL_AUTHORITY_NAME',
    'AZURE_CONFIG_DIR',
  ]) {
    test(`${name} is refused there, and the error says where it belongs`, (t) => {
      assert.deepEqual(problemsOf(t, `${name}=/a/file`), [
        `${name} has no effect in promptbridge.env: it is read from the environment of the process. Set it there, before the process starts.`,
      ])
    })
  }

  test('a line that is not NAME=value is refused by its number', (t) => {
    const text = 'JOBS_TOPIC: canary\n\n  # a comment\nPORT=1\r\nexport HOST=::1\n=canary\nRECORD_TTL_DAYS 9\n'
    assert.deepEqual(
      problemsOf(t, text),
      [1, 6, 7].map((line) => `line ${line} of promptbridge.env has no effect: it is not NAME=value`),
    )
  })

  test('the lines of a value in quotes are a part of it', (t) => {
    for (const quote of ['"', "'", '`']) {
      const text = `DEPLOYMENTS=${quote}[\n  {}\n]${quote}\nHOST='it'\nno setting\n`
      assert.deepEqual(problemsOf(t, text), ['line 5 of promptbridge.env has no effect: it is not NAME=value'])
    }
  })
})

test('problems of the settings file are reported together with all others, for the worker and for every command', (t) => {
  const path = aFile(t, 'JOB_TOPIC=x\nOPENAI_API_KEY=sk-canary\nSTORE=sqlite:state.db\nMAX_ATTEMPTS=0\n')
  const { environment, ...file } = withSettingsFile({}, path)
  const forWorker = configProblems(() => readConfig(environment, file)).map((line) => line.split(/[: ]/)[0])
  for (const name of ['JOB_TOPIC', 'OPENAI_API_KEY', 'MAX_ATTEMPTS', 'AZURE_TENANT_ID']) {
    assert.ok(forWorker.includes(name), name)
  }
  // A command needs no key either, and what it does not use does not stop it.
  const forCommand = configProblems(() => readStoresConfig(environment, file))
  assert.deepEqual([forCommand, forCommand.length], [file.fileProblems, 1])
})
