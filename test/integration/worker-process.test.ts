import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { DONE, deferred, IMPATIENT, JOB, onWorker } from '../support/on-worker.ts'
import { startProcessCloud } from '../support/process-cloud.ts'
import { postTo, storeFile, wrap } from '../support/worker.ts'
import { startWorkerProcess } from '../support/worker-process.ts'

const push = (to: string) => postTo(to, JSON.stringify(wrap(JOB)))

const folders = new AsyncDisposableStack()
after(() => folders.disposeAsync())

describe('a worker that cannot start', () => {
  test('lists all that is missing at once, and ends with 1', async () => {
    await using worker = startWorkerProcess(dirname(await storeFile(folders)), {})
    const { code, stdout, stderr } = await worker.ended
    assert.deepEqual([code, stdout], [1, ''])
    const missing = stderr.matchAll(/^ {2}- (\w+) is missing/gm)
    const names =
      'AZURE_CLIENT_ID,AZURE_OPENAI_DEPLOYMENT,AZURE_OPENAI_ENDPOINT,AZURE_TENANT_ID,GOOGLE_CLOUD_PROJECT,PUSH_AUDIENCE,PUSH_SERVICE_ACCOUNT'
    assert.equal(
      [...missing]
        .map(([, name]) => name)
        .toSorted()
        .join(),
      names,
    )
  })

  test('because a key lies in its environment says which and why, and not the key', async () => {
    await using on = await startProcessCloud()
    await using worker = on.start({ AZURE_OPENAI_API_KEY: 'sk-canary' })
    const { code, stderr } = await worker.ended
    assert.equal(code, 1)
    assert.match(stderr, /AZURE_OPENAI_API_KEY is set: no key is needed .* federated identity/)
    assert.doesNotMatch(stderr, /canary/)
  })

  test('lists what its settings file has wrong beside what is missing', async () => {
    const folder = dirname(await storeFile(folders))
    const elsewhere = 'AZURE_OPENAI_ENDPOINT=https://x.openai.azure.com.evil.example\nALLOW_CUSTOM_HOSTS=true\n'
    const wrong = 'MAX_ATEMPTS=3\nNODE_EXTRA_CA_CERTS=/ca.pem\nRECORD_TTL_DAYS=1\n'
    await writeFile(join(folder, 'promptbridge.env'), elsewhere + wrong)
    await using worker = startWorkerProcess(folder, {})
    const { code, stderr } = await worker.ended
    assert.equal(code, 1)
    assert.match(stderr, /^ {2}- MAX_ATEMPTS is unknown in promptbridge\.env; did you mean MAX_ATTEMPTS\?$/m)
    assert.match(
      stderr,
      /^ {2}- NODE_EXTRA_CA_CERTS has no effect in promptbridge\.env: .* environment of the process/m,
    )
    assert.match(stderr, /^ {2}- RECORD_TTL_DAYS is shorter than MAX_JOB_AGE_DAYS/m)
    assert.match(stderr, /^ {2}- AZURE_TENANT_ID is missing$/m)
    assert.match(stderr, /^ {2}- ALLOW_CUSTOM_HOSTS is refused in promptbridge\.env: /m)
    assert.match(stderr, /^ {2}- AZURE_OPENAI_ENDPOINT is no known host of AZURE_CLOUD=public /m)
  })
})

describe('a worker', () => {
  test('is ready when it listens, and runs a job by what its settings file says', async () => {
    await using on = await startProcessCloud()
    await writeFile(join(on.folder, 'promptbridge.env'), 'AZURE_OPENAI_DEPLOYMENT=gpt-4o-mini\nMAX_OUTPUT_TOKENS=1\n')
    await using worker = on.start({ AZURE_OPENAI_DEPLOYMENT: '' })
    const at = await worker.url()
    assert.equal((await worker.logged(/listening/))['settings'], 'promptbridge.env')
    const [ready, lives, nowhere] = await Promise.all(['/readyz', '/healthz', '/'].map((path) => fetch(at + path)))
    assert.deepEqual([ready?.status, lives?.status, nowhere?.status], [200, 200, 404])
    assert.deepEqual([await ready?.json(), await lives?.json()], [{ status: 'ready' }, { status: 'ok' }])
    assert.deepEqual(await push(at), DONE)
    const greedy = { ...JOB, id: 'doc-8', body: { ...JOB.body, max_tokens: 2 } }
    await postTo(at, JSON.stringify(wrap(greedy)))
    assert.equal((await on.record('doc-8'))?.status, 'dead_lettered')
  })

  test('of a Cloud Run revision defers a job for a model that it does not serve: a rollout may bring it', async () => {
    await using on = await startProcessCloud()
    await using worker = on.start({ K_SERVICE: 'worker', K_REVISION: 'worker-00002-abc' })
    const unserved = { ...JOB, body: { ...JOB.body, model: 'gpt-nowhere' } }
    const publishTime = new Date().toISOString()
    const answer = await postTo(await worker.url(), JSON.stringify(wrap(unserved, { publishTime })))
    assert.deepEqual([answer, await on.record('doc-7')], [deferred('busy'), undefined])
  })

  test('is ready although Entra is unavailable: it is the jobs that wait', () =>
    onWorker({ ...IMPATIENT, AZURE_AUTHORITY_HOST: 'https://127.0.0.1:9' }, async (worker) => {
      assert.deepEqual(await worker.push(JOB), deferred('token'))
      assert.equal((await fetch(`${worker.url}/readyz`)).status, 200)
    }))
})
