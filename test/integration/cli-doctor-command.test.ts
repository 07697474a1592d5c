import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { OUR_CREDENTIAL } from '../../local/entra.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { fetchMetadataIdToken } from '../../shared/identity/metadata-id-token.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { openDoctor } from '../support/doctor-run.ts'
import { runHosted } from '../support/run-hosted.ts'
import { callsOf, placeFault, startCloud } from '../support/stand-ins.ts'
import { newFolder, runCommand } from './cli-harness.ts'

const { cloud, folder, onDoctor } = await openDoctor()
const env = { ...cloud.env, HOST: '127.0.0.1', PUSH_AUTH: 'off', STORE: 'sqlite:state.db' }
const doctor = (args: readonly string[] = [], more = {}) =>
  runHosted(['doctor', ...args], { env: { ...env, ...more }, cwd: folder })

/** The doctor in a folder with this settings file, and its report. */
async function doctorOnFile(t: TestContext, text: string, of: Readonly<Record<string, string>> = env) {
  const cwd = await newFolder(t)
  await writeFile(join(cwd, 'promptbridge.env'), text)
  const { code, stdout, stderr } = await runHosted(['doctor', '--json'], { env: of, cwd })
  return { cwd, code, stderr, steps: report.parse(JSON.parse(stdout)).steps }
}

const report = z.strictObject({
  steps: z.array(
    z.strictObject({
      step: z.string(),
      ok: z.boolean().nullable(),
      seen: z.string(),
      expected: z.string().nullable(),
      fix: z.string().nullable(),
    }),
  ),
})

test('doctor: a healthy set-up exits with 0, prints a line for each step, and no colour without a terminal', async (t) => {
  const { code, stdout, stderr } = await runCommand(t, ['doctor'], { env, cwd: folder })
  assert.deepEqual([code, stderr], [0, ''])
  const lines = stdout.split('\n').filter((line) => /^[✓✗–] /.test(line))
  assert.equal(lines.length, 7)
  assert.match(stdout, /\nAll checks passed\.\n$/)
  assert.ok(!stdout.includes('\x1b'))
})

test('doctor: a failed step exits with 1, and its fix is printed below it', async () => {
  await placeFault(cloud.azure, { kind: 'status', error: 'permission_denied' })
  const { code, stdout } = await doctor()
  assert.equal(code, 1)
  assert.match(
    stdout,
    /\n✗ Azure OpenAI gpt-4o-mini {2}.*\n {4}expected {2}.*\n {4}to do {5}Give the app registration /,
  )
  assert.match(stdout, /\nTo fix: Azure OpenAI gpt-4o-mini\.\n$/)
})

test('doctor --store checks the store of the option in the place of STORE', async () => {
  const { stdout } = await doctor(['--store', 'sqlite:another.db'])
  assert.match(stdout, /^✓ store {2}the worker creates another\.db when it starts$/m)
})

test('doctor --json prints one document with the same steps', async () => {
  await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/token' })
  const { code, stdout } = await doctor(['--json'])
  const { steps } = report.parse(JSON.parse(stdout))
  assert.deepEqual([code, steps.length], [1, 7])
  const failed = steps.filter(({ ok }) => ok === false)
  const failures = failed.map(({ step, fix }) => [step, fix === null])
  assert.deepEqual(failures, [['Entra', false]])
})

test('doctor: missing settings are a failed step, not misuse', async () => {
  const { code, stdout } = await runHosted(['doctor'], { cwd: folder })
  assert.equal(code, 1)
  assert.match(stdout, /^✗ settings {2}/)
  assert.match(stdout, /AZURE_TENANT_ID is missing\n/)
})

test('doctor: an error in the settings file fails the first step, and the other steps still run', async (t) => {
  const { code, steps } = await doctorOnFile(t, 'JOB_TOPIC=jobs\nHTTPS_PROXY=http://127.0.0.1:9\n')
  assert.deepEqual([code, steps.filter(({ ok }) => ok === false).map(({ step }) => step)], [1, ['settings']])
  assert.deepEqual(steps[0]?.fix?.split('\n').toSorted(), [
    'HTTPS_PROXY has no effect in promptbridge.env: it is read from the environment of the process. Set it there, before the process starts.',
    'JOB_TOPIC is unknown in promptbridge.env; did you mean JOBS_TOPIC?',
  ])
  assert.equal(steps.find(({ step }) => step === 'Entra')?.ok, true)
})

test('every other command refuses a settings file with an error as misuse', async (t) => {
  const cwd = await newFolder(t)
  await writeFile(join(cwd, 'promptbridge.env'), 'JOB_TOPIC=jobs\n')
  for (const args of [
    ['show', 'doc-7'],
    ['token', 'inspect'],
  ]) {
    const { code, stderr } = await runHosted(args, { env, cwd })
    assert.deepEqual([code, /JOB_TOPIC is unknown .* JOBS_TOPIC\?$/m.test(stderr)], [2, true], stderr)
    assert.match(stderr, /^settings: promptbridge\.env\n/)
  }
})

test('a settings file cannot send tokens elsewhere: each command refuses it, and no stand-in is asked', async (t) => {
  const moved = ['AZURE_OPENAI_ENDPOINT', 'AZURE_AUTHORITY_HOST', 'GCE_METADATA_HOST'] as const
  const text = moved.map((name) => `${name}=${cloud.env[name]}\n`).join('')
  const own = Object.fromEntries(Object.entries(env).filter(([name]) => !moved.some((other) => other === name)))
  const calls = () => Promise.all([cloud.metadata, cloud.entra, cloud.azure].map((standIn) => callsOf(standIn)))
  const before = await calls()
  const { cwd, code, stderr, steps } = await doctorOnFile(t, `${text}ALLOW_CUSTOM_HOSTS=true\n`, own)
  assert.deepEqual([code, stderr], [1, 'settings: promptbridge.env\n'])
  const refused = steps[0]?.fix?.split('\n').map((line) => line.split(' ').slice(0, 3).join(' '))
  assert.deepEqual(refused?.toSorted(), [
    'ALLOW_CUSTOM_HOSTS is refused',
    'AZURE_AUTHORITY_HOST is an',
    'AZURE_OPENAI_ENDPOINT is an',
    'GCE_METADATA_HOST is refused',
  ])
  const asking = steps.filter(({ step }) => /Entra|Azure|Google ID/.test(step)).map(({ ok }) => ok)
  assert.deepEqual(asking, [null, null, null])
  const inspected = await runHosted(['token', 'inspect'], { env: own, cwd })
  assert.deepEqual([inspected.code, inspected.stdout], [2, ''])
  assert.deepEqual(await calls(), before)
})

describe('doctor and token inspect: no token is printed', () => {
  /** Anything that looks like a token, or like half of one. */
  const isSecret = (text: string) => /eyJ[\w-]{10,}|ya29\.|Bearer [\w-]{8,}/.test(text)

  test('the finder finds both tokens in a line', async () => {
    const federation = {
      ...ENTRA,
      authorityHost: cloud.entra.url,
      scope: AZURE.scope,
      audience: ENTRA.assertionAudience,
    }
    const metadataHost = cloud.env['GCE_METADATA_HOST']
    const settings = { federation, tokenSource: { kind: 'metadata-server' }, metadataHost } as const
    const { value: azure } = await openTokenFetcher(settings, Date.now)()
    const { value: google } = await fetchMetadataIdToken(ENTRA.assertionAudience, metadataHost, Date.now)
    for (const token of [azure, google]) assert.ok(isSecret(`✓ Entra  ${token}`))
    assert.ok(!isSecret(`sub ${GOOGLE.subject}, iss ${OUR_CREDENTIAL.issuer}`))
  })

  async function isKeptFrom(...commands: readonly (readonly string[])[]) {
    for (const args of commands) {
      const { stdout, stderr } = await runHosted(args, { env, cwd: folder })
      assert.ok(stdout.length > 0 || stderr.length > 0)
      assert.ok(!isSecret(stdout + stderr), stdout + stderr)
    }
  }

  test('by a healthy run', async () => {
    await isKeptFrom(['doctor'], ['doctor', '--json'], ['token', 'inspect'], ['token', 'inspect', '--json'])
  })

  const faults = {
    'where Entra refuses': () => placeFault(cloud.entra, { kind: 'status', error: 'bad_signature', match: '/token' }),
    'where Entra talks nonsense': () => placeFault(cloud.entra, { kind: 'garbage', match: '/token' }),
    'where Azure refuses': () => placeFault(cloud.azure, { kind: 'status', error: 'unauthorized' }),
    'where Google talks nonsense': () => placeFault(cloud.metadata, { kind: 'garbage' }),
  }
  for (const [when, prepare] of Object.entries(faults)) {
    test(when, async () => {
      await prepare()
      const steps = JSON.stringify(await onDoctor())
      assert.ok(!isSecret(steps), steps)
      await isKeptFrom(['token', 'inspect'])
    })
  }
})

test("doctor: the claims of Google's token cannot control the terminal", async () => {
  await using evil = await startCloud({
    metadata: { subject: '1045\x1b[2J\u202e' },
    entra: { caPath: join(folder, 'evil.pem') },
  })
  const { stdout } = await runHosted(['doctor'], { env: { ...env, ...evil.env }, cwd: folder })
  assert.match(stdout, /sub 1045\\u001b\[2J\\u202e,/)
  assert.ok(!stdout.includes('\x1b') && !stdout.includes('\u202e'))
})
