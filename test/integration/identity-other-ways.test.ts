import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, describe, test } from 'node:test'
import { gcpMetadata } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { type IamCredentialsOptions, startIamCredentials } from '../../local/iam-credentials.ts'
import { AZURE, ENTRA, GOOGLE } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { fetchAzureCliToken } from '../../shared/identity/azure-cli-token.ts'
import { fetchImpersonatedIdToken } from '../../shared/identity/impersonated-id-token.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { tokenErrorOf } from '../support/token-errors.ts'
import { federationOn } from '../support/token-instance.ts'
import { openWire } from '../support/wire.ts'

const key = await createSigningKey()
const cloud = await startCloud({ metadata: { key } })
after(() => cloud.close())
afterEach(async () => {
  await clearFaults(cloud.entra)
  await clearFaults(cloud.metadata)
})

const federation = federationOn(cloud)
const serviceAccount: string = GOOGLE.serviceAccountEmail
const audience = ENTRA.assertionAudience

/** For one test; the variables that Google's and Microsoft's libraries look at are put back after it. */
const VARIABLES = ['PATH', 'HOME', 'GOOGLE_APPLICATION_CREDENTIALS', 'GCE_METADATA_HOST', 'METADATA_SERVER_DETECTION']
let before: NodeJS.ProcessEnv
let folder: string
beforeEach(async () => {
  before = { ...process.env }
  folder = await mkdtemp(join(tmpdir(), 'other-ways-'))
  // The machine that runs the tests may have credentials.
  process.env['HOME'] = folder
  delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  gcpMetadata.resetIsAvailableCache()
})
afterEach(async () => {
  for (const name of VARIABLES) {
    if (before[name] === undefined) delete process.env[name]
    else process.env[name] = before[name]
  }
  await rm(folder, { recursive: true })
})

const fetchIdToken = (endpoint?: string, of = serviceAccount, timeoutMs?: number) =>
  fetchImpersonatedIdToken({ serviceAccount: of, audience, ...(endpoint && { endpoint }) }, Date.now, timeoutMs)

describe('impersonation', () => {
  /** How it fails at Google with this fault, and how many calls it took. */
  async function failureAt(
    options: Partial<IamCredentialsOptions>,
    fault?: Parameters<typeof placeFault>[1],
    of?: string,
  ) {
    const iam = await startIamCredentials({ key, ...options })
    if (fault !== undefined) await placeFault(iam, fault)
    const { leg, details, message } = await tokenErrorOf(fetchIdToken(iam.url, of))
    const calls = await callsOf(iam)
    await iam.close()
    assert.deepEqual([leg, calls.length], ['google_id_token', 1])
    return { details, message }
  }

  test('turns the ID token of the service account into a token for Azure OpenAI', async () => {
    const iam = await startIamCredentials({ key })
    const tokenSource = { kind: 'impersonate', serviceAccount } as const
    const settings = { federation, tokenSource, metadataHost: undefined, iamEndpoint: iam.url }
    const fetchToken = openTokenFetcher(settings, Date.now)
    const { value } = await fetchToken()
    await fetchToken()
    const calls = await callsOf(iam, 'generateIdToken')
    await iam.close()
    assert.equal(decodeJwt(value)['oid'], ENTRA.objectId)
    const details = calls.map(({ detail }) => detail)
    assert.deepEqual(details, [{ caller: serviceAccount, audience }])
  })

  test('asks for the e-mail, which names the account to readers of the token', async () => {
    const iam = await startIamCredentials({ key })
    const idToken = await fetchIdToken(iam.url)
    await iam.close()
    assert.equal(decodeJwt(idToken.value)['email'], serviceAccount)
    assert.deepEqual(idToken.presented, { issuer: GOOGLE.issuer, subject: GOOGLE.subject, audience })
  })

  test('that is not allowed fails with its status, after one try', async () => {
    const { details, message } = await failureAt({ tokenCreators: [] })
    assert.deepEqual(details, { httpStatus: 403, code: 'PERMISSION_DENIED' })
    assert.equal(message, 'Google answered 403 PERMISSION_DENIED for the service account')
  })

  test('of an account that does not exist fails with its status', async () => {
    const { details } = await failureAt({}, undefined, 'stranger@promptbridge-local.iam.gserviceaccount.com')
    assert.deepEqual(details, { httpStatus: 404, code: 'NOT_FOUND' })
  })

  const headers = { 'retry-after': '7' }

  test('is tried once when Google is away for a moment, and brings the time that it asks to wait', async () => {
    const { details } = await failureAt({}, { kind: 'status', error: 'unavailable', headers })
    assert.deepEqual(details, { httpStatus: 503, code: 'UNAVAILABLE', retryAfterMs: 7_000 })
  })

  for (const error of [null, 7, {}, { status: 429 }, { status: '' }]) {
    test(`that is refused with the error ${JSON.stringify(error)} keeps the status and the time to wait`, async () => {
      const { details } = await failureAt({}, { kind: 'status', status: 429, body: { error }, headers })
      assert.deepEqual(details, { httpStatus: 429, retryAfterMs: 7_000 })
    })
  }

  for (const kind of ['garbage', 'reset'] as const) {
    test(`that meets ${kind} gives no token`, async () => {
      const { details, message } = await failureAt({}, { kind })
      assert.deepEqual(details, {})
      assert.match(message, /^Google could not be reached for the service account, or /)
    })
  }

  test('that hangs ends at its deadline, and gives its connection up', async () => {
    const iam = await startIamCredentials({ key })
    await placeFault(iam, { kind: 'hang' })
    await using wire = await openWire(iam.url)
    const { message } = await tokenErrorOf(fetchIdToken(wire.url, serviceAccount, 1_000))
    await wire.lastClosed()
    await iam.close()
    assert.equal(message, 'Google gave no ID token for the service account within 1000 ms')
  })

  test('by a caller without credentials says that there are none', async () => {
    process.env['METADATA_SERVER_DETECTION'] = 'none'
    const { leg, details } = await tokenErrorOf(fetchIdToken())
    assert.deepEqual([leg, details], ['google_id_token', { code: 'no_credentials' }])
  })

  test('by a caller whose login is over has the code of the refusal', async () => {
    await using google = await serveOnce(400, { error: 'invalid_grant', error_description: 'Bad Request' })
    const file = join(folder, 'adc.json')
    process.env['GOOGLE_APPLICATION_CREDENTIALS'] = file
    const user = { type: 'external_account_authorized_user', client_id: 'id', client_secret: 'x', refresh_token: 'y' }
    await writeFile(file, JSON.stringify({ ...user, audience: '//iam.googleapis.com/x', token_url: google.url }))
    const { details } = await tokenErrorOf(fetchIdToken())
    assert.deepEqual(details, { httpStatus: 400, code: 'invalid_grant' })
  })
})

/** Stands for Google's token endpoint. */
async function serveOnce(status: number, body: object) {
  const server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${port}/token`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Puts a command named az into the PATH: a shell script that notes how it was called. */
async function installAz(script: string): Promise<() => Promise<string>> {
  const called = join(folder, 'called')
  await writeFile(join(folder, 'az'), `#!/bin/sh\necho "$@" > ${called}\n${script}\n`, { mode: 0o755 })
  process.env['PATH'] = `${folder}:${before['PATH']}`
  return () => readFile(called, 'utf8')
}

const printed = {
  accessToken: 'the-token',
  expiresOn: '2026-11-24 07:00:00.000000',
  expires_on: 1_795_503_600,
  tenant: ENTRA.tenantId,
  tokenType: 'Bearer',
}
const print = (text: string) => `cat <<'END'\n${text}\nEND`
const refuse = (text: string) => `cat >&2 <<'END'\n${text}\nEND\nexit 1`
const askAz = (timeoutMs?: number) => fetchAzureCliToken(federation, () => 7, timeoutMs)

describe('the Azure CLI', () => {
  test('gives the token of who is logged in, for the tenant and the resource', async () => {
    const called = await installAz(print(JSON.stringify(printed)))
    const fetchToken = openTokenFetcher(
      { federation, tokenSource: { kind: 'azure-cli' }, metadataHost: undefined },
      () => 7,
    )
    assert.deepEqual(await fetchToken(), { value: 'the-token', fetchedAt: 7, expiresAt: 1_795_503_600_000 })
    assert.match(await called(), new RegExp(`^account get-access-token .*--resource ${AZURE.resource} `))
    assert.match(await called(), new RegExp(`--tenant ${ENTRA.tenantId}$`, 'm'))
  })

  test('says that no account is logged in', async () => {
    await installAz(refuse("ERROR: Please run 'az login' to setup account."))
    const { leg, details, message } = await tokenErrorOf(askAz())
    assert.deepEqual([leg, details], ['azure_cli', { code: 'not_logged_in' }])
    assert.equal(message, 'no account is logged in to the Azure CLI')
  })

  test("reports Entra's number, and nothing else of the command's output", async () => {
    const said = 'ERROR: AADSTS70043: The refresh token has expired: eyJhbGciOi.\naz login --scope https://x/.default'
    await installAz(refuse(said))
    const { details, message } = await tokenErrorOf(askAz())
    assert.deepEqual(details, { aadsts: [70_043] })
    assert.equal(message, 'the Azure CLI gave no token AADSTS70043')
  })

  test('that is not installed is reported as that', async () => {
    process.env['PATH'] = folder
    const { leg, details } = await tokenErrorOf(askAz())
    assert.deepEqual([leg, details], ['azure_cli', { code: 'not_installed' }])
  })

  for (const [what, script] of [
    ['a page', print('<!doctype html>')],
    ['no token', print('{"expires_on": 1795503600}')],
    ['no end', print('{"accessToken": "eyJhbGciOi"}')],
    ['nothing', 'exit 0'],
  ] as const) {
    test(`that prints ${what} gives no token`, async () => {
      await installAz(script)
      const { details, message } = await tokenErrorOf(askAz())
      assert.deepEqual([details, message], [{}, 'the Azure CLI gave no token'])
    })
  }

  test('that hangs is given up at the deadline', async () => {
    await installAz('exec sleep 30')
    const { message } = await tokenErrorOf(askAz(300))
    assert.match(message, /^the Azure CLI gave no token/)
  })

  test('refuses a tenant that would be read as an option', async () => {
    await installAz(print(JSON.stringify(printed)))
    const { leg } = await tokenErrorOf(fetchAzureCliToken({ ...federation, tenantId: '--x y' }, () => 7))
    assert.equal(leg, 'azure_cli')
  })
})
