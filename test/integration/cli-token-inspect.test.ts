import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { openDoctor } from '../support/doctor-run.ts'
import { runHosted } from '../support/run-hosted.ts'
import { placeFault } from '../support/stand-ins.ts'
import { runCommand } from './cli-harness.ts'

const { cloud, folder } = await openDoctor()
/** Only what the tokens need: no deployment, no push and no store. */
const OF_TOKENS =
  /^(AZURE_(TENANT_ID|CLIENT_ID|AUTHORITY_HOST)|GCE_METADATA_HOST|NODE_EXTRA_CA_CERTS|ALLOW_CUSTOM_HOSTS)$/
const env = Object.fromEntries(Object.entries(cloud.env).filter(([name]) => OF_TOKENS.test(name)))
const inspect = (...args: string[]) => runHosted(['token', 'inspect', ...args], { env, cwd: folder })

test('token inspect: prints the claims of both tokens', async (t) => {
  const { code, stdout, stderr } = await runCommand(t, ['token', 'inspect'], { env, cwd: folder })
  assert.deepEqual([code, stderr], [0, ''])
  const time = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ'
  const lines = [
    'Google ID token',
    `  iss   ${GOOGLE.issuer}`,
    `  sub   ${GOOGLE.subject}`,
    `  aud   ${ENTRA.assertionAudience}`,
    `  email ${GOOGLE.serviceAccountEmail}`,
    `  iat   ${time}`,
    `  exp   ${time}`,
    'Azure access token',
    `  aud   ${AZURE.resource}`,
    `  tid   ${ENTRA.tenantId}`,
    `  appid ${ENTRA.clientId}`,
    `  oid   ${ENTRA.objectId}`,
    `  iat   ${time}`,
    `  exp   ${time}`,
  ]
  assert.match(stdout, new RegExp(`^${lines.join('\n')}\n$`))
})

test('token inspect --json: prints the claims as one document, and times as numbers', async () => {
  const { code, stdout } = await inspect('--json')
  const { google, azure } = JSON.parse(stdout)
  assert.equal(code, 0)
  assert.deepEqual([google.sub, azure.oid], [GOOGLE.subject, ENTRA.objectId])
  assert.deepEqual([google.exp - google.iat, azure.exp - azure.iat], [3_600, 3_599])
})

test('token inspect: the claims of an ID token that Entra refuses are printed, and how to fix it', async () => {
  await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/token' })
  const { code, stdout, stderr } = await inspect()
  assert.equal(code, 1)
  assert.match(stdout, /^Google ID token\n/)
  assert.doesNotMatch(stdout, /Azure access token/)
  assert.match(
    stderr,
    new RegExp(`^promptbridge: Entra answered 401 .*AADSTS700213\n  to do {2}Set Subject .* ${GOOGLE.subject} `),
  )
})

test('token inspect --json: the document holds a failure', async () => {
  await placeFault(cloud.metadata, { kind: 'status', error: 'no_service_account' })
  const { code, stdout } = await inspect('--json')
  const printed = JSON.parse(stdout)
  assert.deepEqual([code, Object.keys(printed)], [1, ['failure']])
  assert.match(printed.failure.hint, /attach one to the service/)
})
