import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Compute } from 'google-auth-library'
import { z } from 'zod'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { AZURE, ENTRA } from '../../local/identities.ts'
import { createSigningKey } from '../../local/signing-key.ts'
import type { StandIn } from '../../local/stand-in.ts'
import { openTokenFetcher } from '../../shared/identity/token-fetcher.ts'
import { CANARY, isSecret } from '../support/canary.ts'
import { serveCerts } from '../support/certs-server.ts'
import { azureAnswers, cloud, IMPATIENT, JOB, onWorker, type Scenario } from '../support/on-worker.ts'
import { placeFault } from '../support/stand-ins.ts'
import { EVENTS, type TestWorker, wrap } from '../support/worker.ts'

const prompt = `Summarise: Bridges carry the ${CANARY} over water, in all weathers.`
const aJob = (content: string, body = {}) => ({ ...JOB, body: { messages: [{ role: 'user', content }], ...body } })

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

async function eventsOf(worker: TestWorker) {
  return (await worker.events()).map(({ attributes, data }) => {
    const output = z.record(z.string(), z.unknown()).parse(JSON.parse(Buffer.from(data).toString()))
    return { attributes, data: { ...output, text: undefined, result: undefined } }
  })
}

describe('no prompt, answer or token is in logs, events or telemetry', () => {
  const message = { error: { code: 'invalid_prompt', message: prompt, innererror: { code: 'x', detail: prompt } } }
  const quoting = (status: number) => () => azureAnswers({ status, body: message })
  const fails = (standIn: StandIn, fault: Parameters<typeof placeFault>[1]) => () => placeFault(standIn, fault)
  const { azure, entra, metadata } = cloud
  const once: Scenario = { ON_UNKNOWN: 'dead-letter', MODEL_TIMEOUT_SECONDS: '4' }
  const job = aJob(prompt)
  const refused = { kind: 'status', error: 'bad_signature', match: '/token' } as const
  const cases: readonly (readonly [string, object | string, (() => Promise<void>)?, Scenario?])[] = [
    ['of a success', job],
    ['where the filter strikes', aJob(prompt + CONTENT_FILTER_MARKER)],
    ['where Azure quotes the prompt in a 400', job, quoting(400)],
    ['where Azure quotes it in a 500', job, quoting(500), once],
    ['where the answer is cut in two', job, fails(azure, { kind: 'reset', after: 'half-body' }), once],
    ['where the answer is garbage', job, fails(azure, { kind: 'garbage' }), once],
    ['where no answer comes in time', job, fails(azure, { kind: 'hang' }), once],
    ['where Azure refuses the token', job, () => azureAnswers({ error: 'unauthorized' }), IMPATIENT],
    ['where Entra refuses the assertion', job, fails(entra, refused), IMPATIENT],
    ['where Entra cuts the connection', job, fails(entra, { kind: 'reset', match: '/token' }), IMPATIENT],
    ['where the metadata server answers garbage', job, fails(metadata, { kind: 'garbage' }), IMPATIENT],
    ['of a job with a bad field', aJob(prompt, { stream: true })],
    ['of a job with a bad value', { ...job, deadline: CANARY, batch: { name: CANARY } }],
    ['of a job whose model has no deployment', aJob(prompt, { model: 'gpt-nowhere' })],
    ['of data that is no JSON', `{"prompt":"${prompt}`],
  ]
  for (const [when, data, prepare, scenario] of cases) {
    test(when, () =>
      onWorker({ EVENTS_TOPIC: EVENTS, ...scenario }, async (worker) => {
        await prepare?.()
        const answer = await worker.push(data)
        for (const letter of await worker.deadLetters()) await worker.forward(letter.data, letter)
        await worker.forward(data)
        const output = JSON.stringify(answer) + (await outputOf(worker))
        assert.ok(!isSecret(output), output)
      }),
    )
  }

  test('of a push that is refused', async () => {
    const key = await createSigningKey()
    const certs = await serveCerts(key.jwks)
    const identity = {
      PUSH_AUDIENCE: 'worker',
      PUSH_SERVICE_ACCOUNT: 'push@contoso.example',
      PUSH_CERTS_URL: certs.url,
    }
    await onWorker({ ...identity, PUSH_AUTH: 'verify' }, async (worker) => {
      const unsigned = ['eyJhbGciOiJub25lIn0.e30.', 'x.y.z']
      for (const token of [await key.sign({ aud: 'worker' }), `${await key.sign({})}x`, ...unsigned]) {
        await worker.post(JSON.stringify(wrap(prompt)), { authorization: `Bearer ${token}` })
      }
      assert.ok(!isSecret(await outputOf(worker)))
    })
    await certs.close()
  })
})
