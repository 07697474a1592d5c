import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT } from '../../../local/azure-openai.ts'
import { createSigningKey } from '../../../local/signing-key.ts'
import { parseJob } from '../../../shared/job/parse-job.ts'
import { isSettled } from '../../../shared/job/record.ts'
import { CANARY, isSecret } from '../../support/canary.ts'
import { serveCerts } from '../../support/certs-server.ts'
import { sha256 } from '../../support/job-builders.ts'
import { startProcessCloud } from '../../support/process-cloud.ts'
import { DEAD_LETTERS, JOBS, wrap } from '../../support/worker.ts'
import type { Framed } from '../support/hostile/framings.ts'
import { hashOf, openKeptData } from '../support/hostile/kept-data.ts'
import { anyPush, describePush, type HostilePush } from '../support/hostile/pushes.ts'
import { type RawAnswer, sendRaw } from '../support/hostile/send-raw.ts'
import { anyToken, type Mode, makeTokens, modes, type Presented } from '../support/hostile/tokens.ts'
import { peakKibOf } from '../support/peak-memory.ts'

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '20000' }, seed: { type: 'string' } },
})
const AT_ONCE = 50
const BATCHES = Math.ceil(Number(values.requests) / AT_ONCE)
/** Of one worker, which in the cloud would have 512 MiB. */
const MEMORY_KIB = 512 * 1_024
const HEAP_MIB = 256

const PATHS = ['/push', '/dead-letter', '/sweep'] as const
/** What a 503 may name: it passes by itself, and every other delivery is taken. */
const PASSING = ['busy', 'store']
const MAX_DELIVERIES = 500

interface Hostile extends HostilePush {
  readonly path: (typeof PATHS)[number]
  readonly mode: Mode
  readonly token: Presented
}

const identity = {
  audience: 'https://worker.example/push',
  serviceAccount: 'push@contoso.iam.gserviceaccount.com',
}
const google = await createSigningKey()
const certs = await serveCerts(google.jwks)
after(() => certs.close())
const tokens = await makeTokens(google, await createSigningKey(), identity, Date.now())

const unlimited = { contextWindow: 1e9, tokensPerMinute: 1e15, requestsPerMinute: 1e9 }
const deployments = [DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT].map((usual) => ({ ...usual, ...unlimited }))
const on = await startProcessCloud({ azure: { deployments } })
after(() => on[Symbol.asyncDispose]())

const settings = {
  JOBS_TOPIC: JOBS,
  EVENTS_TOPIC: 'events',
  PUSH_AUDIENCE: identity.audience,
  PUSH_SERVICE_ACCOUNT: identity.serviceAccount,
  PUSH_CERTS_URL: certs.url,
  LOG_LEVEL: 'debug',
  // The test does not wait until Azure's reply to a request is known.
  ON_UNKNOWN: 'dead-letter',
}
const workers = modes.map((mode) => {
  const [pushAuth = '', cloudRun] = mode.split(' on ')
  const more = { PUSH_AUTH: pushAuth, ...(cloudRun !== undefined && { K_SERVICE: 'worker' }) }
  return { mode, process: on.start({ ...settings, ...more }, [`--max-old-space-size=${HEAP_MIB}`]) }
})
after(() => Promise.all(workers.map((worker) => worker.process[Symbol.asyncDispose]())))
const urls = new Map(await Promise.all(workers.map(async ({ mode, process }) => [mode, await process.url()] as const)))
const died = Promise.race(
  workers.map(async ({ mode, process }) => {
    const { code, stderr } = await process.ended
    throw new Error(`the worker with PUSH_AUTH=${mode} ended with ${code}: ${stderr}`)
  }),
)
// It is raced where it matters; at the end they all end.
died.catch(() => undefined)

const kept = openKeptData(`${on.folder}/state.db`, [DEAD_LETTERS, JOBS])
after(() => kept[Symbol.dispose]())

/** What the workers were right to keep: the data of every push that was ours. */
const ours = new Set<string>()
const seen = new Set<string>()

const isOurs = ({ token, mode }: Hostile) => token.goodIn.includes(mode)

async function deliver({ mode }: Pick<Hostile, 'mode'>, { bytes, isCut }: Pick<Framed, 'bytes' | 'isCut'>) {
  for (let deliveries = 1; ; deliveries += 1) {
    const answer = await Promise.race([sendRaw(urls.get(mode) ?? '', bytes, isCut), died])
    const isPassing = answer.status === 503 && PASSING.some((reason) => answer.body === JSON.stringify({ reason }))
    if (!isPassing || deliveries === MAX_DELIVERIES) return answer
  }
}

/** Sends one, and resolves with what it was answered. */
async function send(hostile: Hostile) {
  const { path, token, envelope, framing } = hostile
  const framed = framing.frame(path, token.authorization, envelope)
  const mayHold = [...(framed.body === envelope.body ? envelope.mayHold : []), framed.body]
  const hashes = mayHold.map(hashOf)
  if (isOurs(hostile) && framed.fate !== 'refused' && path !== '/sweep') for (const hash of hashes) ours.add(hash)
  return { hostile, framed, hashes, answer: await deliver(hostile, framed) }
}

type Sent = Awaited<ReturnType<typeof send>>

/** Says what is wrong with an answer; undefined: nothing. */
function faultIn({ hostile, framed, hashes, answer }: Sent): string | undefined {
  const { status } = answer
  const isRefusedAsHttp = status === 0 || (status >= 400 && status < 500)
  if (!isOurs(hostile)) {
    const isRight = status === 401 || status === 403 || (framed.fate !== 'read' && isRefusedAsHttp)
    return isRight ? undefined : 'it is not ours, and was not refused'
  }
  if (framed.fate !== 'read' && isRefusedAsHttp) return undefined
  if (hostile.path === '/sweep') return status === 200 ? undefined : 'the sweep did not end'
  if (status !== 204 || framed.fate === 'refused') return 'it was not answered as it should be'
  return hashes.some((hash) => seen.has(hash)) || isHistory(hostile) ? undefined : 'its outcome is not recorded'
}

/** Whether another run of its job has been settled, so that nothing is kept of this one. */
function isHistory({ data }: Hostile): boolean {
  const parsed = parseJob(data.data, {}, sha256)
  const record = parsed.ok ? kept.record(parsed.job.key) : undefined
  return record !== undefined && isSettled(record) && (record.run > 1 || record.status === 'succeeded')
}

function describeSent({ hostile, answer }: Pick<Sent, 'hostile' | 'answer'>): string {
  const { path, mode, token } = hostile
  const answered = `answered ${answer.status} ${answer.body.slice(0, 200)}`
  return `${path}, PUSH_AUTH=${mode}; token: ${token.kind}; ${answered}; ${describePush(hostile)}`
}

const anyHostile: fc.Arbitrary<Hostile> = fc
  .record({
    push: anyPush,
    path: fc.oneof(
      { weight: 14, arbitrary: fc.constant('/push' as const) },
      { weight: 5, arbitrary: fc.constant('/dead-letter' as const) },
      { weight: 1, arbitrary: fc.constant('/sweep' as const) },
    ),
    mode: fc.constantFrom(...modes),
    token: anyToken(tokens),
  })
  .map(({ push, ...how }) => ({ ...push, ...how }))

/** How often each kind was sent, by what it is a kind of. */
const counts = new Map<string, Map<string, number>>()
const kindsOf = ({ path, mode, token, data, envelope, framing }: Hostile) =>
  Object.entries({ path, mode, token: token.kind, data: data.kind, envelope: envelope.kind, framing: framing.kind })

function count(hostile: Hostile): void {
  for (const [what, kind] of kindsOf(hostile)) {
    const kinds = counts.get(what) ?? new Map<string, number>()
    counts.set(what, kinds.set(kind, (kinds.get(kind) ?? 0) + 1))
  }
}

async function sendAll(batch: readonly Hostile[]): Promise<void> {
  batch.forEach(count)
  const sent = await Promise.all(batch.map(send))
  const news = kept.news()
  for (const { hash } of news) seen.add(hash)
  for (const one of sent) {
    const fault = faultIn(one)
    if (fault !== undefined) assert.fail(`${fault}: ${describeSent(one)}`)
  }
  const strange = news.filter(({ hash }) => !ours.has(hash))
  const strangers = sent.filter(({ hashes }) => hashes.some((hash) => strange.some((kept) => kept.hash === hash)))
  assert.deepEqual(strangers.map(describeSent), [], 'what is not ours was kept')
  assert.deepEqual(strange, [], 'something was kept that was never sent')
}

describe('hostile input', () => {
  test('the checks find a fault: a planted canary, a message of which nothing is kept, an unauthenticated push that is accepted', () => {
    assert.ok(isSecret(`{"problem":"Summarise: ${CANARY}"}`))
    const [hostile] = fc.sample(anyHostile, 1)
    assert.ok(hostile !== undefined)
    const answer: RawAnswer = { status: 204, body: '' }
    const framed = { bytes: Buffer.alloc(0), body: Buffer.alloc(0), fate: 'read' } as const
    const data = { kind: 'no JSON', data: Buffer.from('x') }
    const good = { ...hostile, data, path: '/push', mode: 'verify', token: { ...tokens.good, kind: 'good' } } as const
    const bad = { ...good, token: { ...tokens.none, kind: 'none' } } as const
    assert.match(faultIn({ hostile: good, framed, hashes: ['x'], answer }) ?? '', /its outcome is not recorded/)
    assert.match(faultIn({ hostile: bad, framed, hashes: ['x'], answer }) ?? '', /not ours/)
  })

  test(`${BATCHES * AT_ONCE} requests: no push without our token is accepted, and every message of ours is accounted for`, async () => {
    const anyBatch = fc.array(anyHostile, { minLength: AT_ONCE, maxLength: AT_ONCE })
    const options = { numRuns: BATCHES, endOnFailure: true, ...(values.seed && { seed: Number(values.seed) }) }
    const { failed, seed, errorInstance } = await fc.check(fc.asyncProperty(anyBatch, sendAll), options)
    const again = `npm run hostile -- --requests ${BATCHES * AT_ONCE} --seed=${seed}`
    if (failed) throw new Error(`again with: ${again}`, { cause: errorInstance })
  })

  test('every kind of request was among them', (t) => {
    for (const [what, kinds] of counts) {
      t.diagnostic(`by ${what}: ${[...kinds].map(([kind, n]) => `${kind} ${n}`).join(' · ')}`)
    }
    const neverSent = fc
      .sample(anyHostile, 2_000)
      .flatMap((drawn) => kindsOf(drawn).filter(([what, kind]) => !counts.get(what)?.has(kind)))
    assert.deepEqual(neverSent, [])
  })

  test('bodies of 10 MB and more are read whole, or refused, and gzip stays what it came as', async () => {
    const long = Buffer.alloc(10_000_000, `${CANARY} `)
    const body = (data: Buffer) => Buffer.from(JSON.stringify(wrap(data)))
    const head = (length: string) => `POST /push HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n${length}`
    const sized = (sent: Buffer, line = '') =>
      Buffer.concat([Buffer.from(`${head(`content-length: ${sent.byteLength}`)}\r\n${line}\r\n`), sent])
    const chunked = (sent: Buffer) => {
      const size = sent.byteLength.toString(16)
      const begin = Buffer.from(`${head('transfer-encoding: chunked')}\r\n\r\n${size}\r\n`)
      return Buffer.concat([begin, sent, Buffer.from('\r\n0\r\n\r\n')])
    }
    const packed = gzipSync(Buffer.alloc(50_000_000))
    const statusOf = async (mode: Mode, bytes: Buffer) => (await deliver({ mode }, { bytes })).status
    const refused = [0, 413]
    for (const sent of [long, body(long), packed]) {
      assert.equal(await statusOf('off', sized(sent, 'content-encoding: gzip\r\n')), 204)
      assert.equal(await statusOf('off', chunked(sent)), 204)
      assert.ok([0, 401].includes(await statusOf('verify', sized(sent))))
      assert.ok([0, 401].includes(await statusOf('verify', chunked(sent))))
    }
    const tooLong = Buffer.alloc(14_500_001, ' ')
    assert.ok(refused.includes(await statusOf('off', sized(tooLong))))
    assert.ok(refused.includes(await statusOf('off', chunked(tooLong))))
    // A push of ours whose sender went away without an answer may be kept later than the answers come.
    const news = kept.news().filter(({ hash }) => !seen.has(hash) && !ours.has(hash))
    assert.deepEqual(new Set(news.map(({ hash }) => hash)), new Set([long, packed].map(hashOf)))
  })

  test('the model was asked for what is ours alone, and once for each attempt', async () => {
    const asked = (await on.modelCalls()).map(({ detail }) => String(detail['clientRequestId']))
    assert.equal(new Set(asked).size, asked.length)
    assert.ok(asked.length > 0)
    for (const id of asked) {
      const record = kept.record(id.slice(0, id.indexOf('.')))
      assert.ok(record !== undefined && ours.has(record.payloadHash ?? ''), id)
    }
  })

  test('every record is settled, of none is it unknown what became of it, and no reason quotes a prompt', () => {
    const records = kept.records()
    assert.ok(records.length > 0)
    for (const record of records) {
      assert.ok(isSettled(record), record.status)
      if (record.status === 'succeeded') continue
      assert.notEqual(record.error.kind, 'unknown', JSON.stringify(record.error))
      assert.ok(!isSecret(JSON.stringify(record.error)), JSON.stringify(record.error))
    }
    assert.deepEqual(kept.messageDetails().filter(isSecret), [])
  })

  test('no worker died, grew beyond its memory, had an internal error, or logged a prompt or a token', async (t) => {
    for (const { mode, process } of workers) {
      assert.equal((await fetch(`${urls.get(mode)}/readyz`)).status, 200)
      const peak = peakKibOf(process.pid)
      t.diagnostic(`PUSH_AUTH=${mode}: ${peak} KiB at most`)
      assert.ok(peak === undefined || peak < MEMORY_KIB)
      process.kill('SIGTERM')
      const { code, stdout, stderr } = await process.ended
      assert.deepEqual([code, stderr], [0, ''])
      const lines = stdout.split('\n')
      assert.ok(lines.length > BATCHES)
      assert.deepEqual(
        lines.filter((line) => isSecret(line) || /"severity":"(ERROR|CRITICAL)"/.test(line)),
        [],
      )
    }
  })
})
