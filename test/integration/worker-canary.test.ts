import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Compute } from 'google-auth-library'
import { z } from 'zod'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { AZURE, ENTRA } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { CANARY, isSecret } from '../support/canary.ts'
import { serveCerts } from '../support/certs-server.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { impatient, startWorker, type TestWorker, type WorkerOverrides, wrap } from '../support/worker.ts'

const prompt = `Summarise: Bridges carry the ${CANARY} over water, in all weathers.`
const url = '/v1/chat/completions'
const aJob = (content: string, body = {}) => ({
  id: 'doc-7',
  url,
  body: { messages: [{ role: 'user', content }], ...body },
})

const EVENTS = 'events'

const cloud = await startCloud()
after(() => cloud.close())

test('the finder finds a prompt, a Google token, an Azure token and a bearer in a log line', async () => {
  const federation = { ...ENTRA, authorityHost: cloud.entra.url, scope: AZURE.scope, audience: ENTRA.assertionAudience }
  const metadataHost = cloud.env['GCE_METADATA_HOST']
  const { value } = await openTokenFetcher(
    { federation, tokenSource: { kind: 'metadata-server' }, metadataHost },
    Date.now,
  )()
  const idToken = await new Compute().fetchIdToken(ENTRA.assertionAudience)
  for (const secret of [prompt, value, idToken, 'Bearer abcdefgh'])
    assert.ok(isSecret(JSON.stringify({ problem: secret })))
  assert.ok(!isSecret('{"severity":"INFO","jobId":"doc-7"}'))
})

/** All that leaves the worker but for the answer, in the record and the event, and the dead letter's own data. */
async function outputOf(worker: TestWorker): Promise<string> {
  const record = await worker.record('doc-7')
  const letters = (await worker.deadLetters()).map(({ attributes }) => attributes)
  const recorded = (await worker.recorded()).map(({ raw, ...letter }) => letter)
  const telemetry = [await worker.tokenFailures(), await worker.instances()]
  const log = worker.logText()
  const events = await eventsOf(worker)
  const output = { log, letters, recorded, events, record: { ...record, result: undefined }, telemetry }
  assert.ok(output.log.length > 0)
  return JSON.stringify(output)
}

async function eventsOf({ file }: TestWorker) {
  const report = await openQueueReport(file)
  const events = await report.list(EVENTS, { limit: 10 })
  report.close()
  return events.map(({ attributes, data }) => {
    const output = z.record(z.string(), z.unknown()).parse(JSON.parse(Buffer.from(data).toString()))
    return { attributes, data: { ...output, text: undefined, result: undefined } }
  })
}

describe('no prompt, answer or token is in logs, events or telemetry', () => {
  const quoting = { error: { code: 'invalid_prompt', message: prompt, innererror: { code: 'x', detail: prompt } } }
  const retried = { settings: { ON_UNKNOWN: 'dead-letter', MODEL_TIMEOUT_SECONDS: '4' } }
  const cases: readonly (readonly [string, object | string, () => Promise<void>, WorkerOverrides?])[] = [
    ['of a success', aJob(prompt), async () => undefined],
    ['where the filter strikes', aJob(prompt + CONTENT_FILTER_MARKER), async () => undefined],
    [
      'where Azure quotes the prompt in a 400',
      aJob(prompt),
      () => placeFault(cloud.azure, { kind: 'status', status: 400, body: quoting }),
    ],
    [
      'where Azure quotes it in a 500',
      aJob(prompt),
      () => placeFault(cloud.azure, { kind: 'status', status: 500, body: quoting }),
      retried,
    ],
    [
      'where the answer is cut in two',
      aJob(prompt),
      () => placeFault(cloud.azure, { kind: 'reset', after: 'half-body' }),
      retried,
    ],
    ['where the answer is garbage', aJob(prompt), () => placeFault(cloud.azure, { kind: 'garbage' }), retried],
    ['where no answer comes in time', aJob(prompt), () => placeFault(cloud.azure, { kind: 'hang' }), retried],
    [
      'where Azure refuses the token',
      aJob(prompt),
      () => placeFault(cloud.azure, { kind: 'status', error: 'unauthorized' }),
      impatient,
    ],
    [
      'where Entra refuses the assertion',
      aJob(prompt),
      () => placeFault(cloud.entra, { kind: 'status', error: 'bad_signature', match: '/token' }),
      impatient,
    ],
    [
      'where Entra cuts the connection',
      aJob(prompt),
      () => placeFault(cloud.entra, { kind: 'reset', match: '/token' }),
      impatient,
    ],
    [
      'where the metadata server talks nonsense',
      aJob(prompt),
      () => placeFault(cloud.metadata, { kind: 'garbage' }),
      impatient,
    ],
    ['of a job with a bad field', aJob(prompt, { stream: true }), async () => undefined],
    [
      'of a job with a bad value',
      { ...aJob(prompt), deadline: CANARY, batch: { name: CANARY } },
      async () => undefined,
    ],
    ['of a job whose model has no deployment', aJob(prompt, { model: 'gpt-nowhere' }), async () => undefined],
    ['of data that is no JSON', `{"prompt":"${prompt}`, async () => undefined],
  ]
  for (const [when, data, prepare, overrides = {}] of cases) {
    test(when, async () => {
      await using worker = await startWorker(cloud, {
        ...overrides,
        settings: { EVENTS_TOPIC: EVENTS, ...overrides.settings },
      })
      await prepare()
      const answer = await worker.push(data)
      for (const letter of await worker.deadLetters()) await worker.forward(letter.data, letter)
      await worker.forward(data)
      const output = JSON.stringify(answer) + (await outputOf(worker))
      assert.ok(!isSecret(output), output)
    })
  }

  test('of a push that is refused', async () => {
    const key = await createSigningKey()
    const certs = await serveCerts(key.jwks)
    const identity = {
      PUSH_AUDIENCE: 'worker',
      PUSH_SERVICE_ACCOUNT: 'push@contoso.example',
      PUSH_CERTS_URL: certs.url,
    }
    await using worker = await startWorker(cloud, { settings: { ...identity, PUSH_AUTH: 'verify' } })
    for (const token of [
      await key.sign({ aud: 'worker' }),
      `${await key.sign({})}x`,
      'eyJhbGciOiJub25lIn0.e30.',
      'x.y.z',
    ]) {
      await worker.post(JSON.stringify(wrap(prompt)), { authorization: `Bearer ${token}` })
    }
    await certs.close()
    assert.ok(!isSecret(await outputOf(worker)))
  })
})
