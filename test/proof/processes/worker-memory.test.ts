import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { z } from 'zod'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT } from '../../../local/azure-openai.ts'
import { startProcessCloud } from '../../support/process-cloud.ts'
import type { Answer } from '../../support/served-worker.ts'
import { holdAnswers, postTo, wrap } from '../../support/worker.ts'
import { peakKibOf } from '../support/peak-memory.ts'

const JOBS = 120
/** Of the default of MAX_IN_FLIGHT_BYTES. */
const FIT = 7
/** What Node takes for its heap by itself in a container of 512 MiB. */
const HEAP_MIB = 256
const CONTAINER_KIB = 512 * 1_024
const unlimited = { contextWindow: 1e9, tokensPerMinute: 1e12, requestsPerMinute: 1e9 }

// In base64, in thirds, so that the parts of a push can be put together. A sign that Latin-1 lacks doubles the text's
// size in memory, which is the most that text may cost.
const text = inBase64(`—${'x'.repeat(3_000_000 - 3)}`)

test('120 jobs of 3 MB at once do not kill a worker of 512 MiB, and all are asked once', async () => {
  const { options, letGo } = holdAnswers()
  const deployments = [{ ...DEFAULT_DEPLOYMENT, ...unlimited }]
  await using on = await startProcessCloud({ azure: { ...options, deployments } })
  await using worker = on.start({ MAX_IN_FLIGHT: '1000' }, [`--max-old-space-size=${HEAP_MIB}`])
  const push = pusher(await worker.url())
  const dead = worker.ended.then(({ stderr }) => Promise.reject(new Error(`the worker died: ${stderr}`)))

  const left: string[] = []
  const enough = Promise.withResolvers<void>()
  const ids = Array.from({ length: JOBS }, (_, n) => `doc-${n}`)
  const answers = ids.map(async (id) => {
    const answer = await push(id)
    if (answer.status !== 204 && left.push(id) === JOBS - FIT) enough.resolve()
    return answer.reason
  })
  // The model answers no request until all pushes that do not fit have been deferred.
  await Promise.race([enough.promise, dead])
  letGo()
  const reasons = await Promise.race([Promise.all(answers), dead])
  assert.ok(reasons.filter((reason) => reason === 'busy').length > JOBS / 2)

  const pushLeft = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      if ((await push(id)).status !== 204) left.push(id)
    }
  }
  await Promise.race([Promise.all(Array.from({ length: FIT }, pushLeft)), dead])

  const asked = (await on.modelCalls()).map(({ detail }) => detail['clientRequestId'])
  assert.deepEqual([asked.length, new Set(asked).size], [JOBS, JOBS])
  for (const id of ids) assert.equal((await on.record(id))?.status, 'succeeded', id)
  const peak = peakKibOf(worker.pid)
  assert.ok(peak === undefined || peak < CONTAINER_KIB, `${peak} KiB at most`)
})

test('small jobs with answers of 16 MB do not kill a worker of 512 MiB, and all are asked once', async () => {
  const deployments = [{ ...EMBEDDING_DEPLOYMENT, ...unlimited }]
  await using on = await startProcessCloud({ azure: { deployments } })
  const settings = { AZURE_OPENAI_DEPLOYMENT: EMBEDDING_DEPLOYMENT.name }
  await using worker = on.start(settings, [`--max-old-space-size=${HEAP_MIB}`])
  const url = await worker.url()
  const dead = worker.ended.then(({ stderr }) => Promise.reject(new Error(`the worker died: ${stderr}`)))
  const body = { input: Array.from({ length: 512 }, (_, n) => `page ${n}`) }
  const push = async (id: string) => postTo(url, JSON.stringify(wrap({ id, url: '/v1/embeddings', body })))

  const ids = Array.from({ length: 16 }, (_, n) => `doc-${n}`)
  const first = await Promise.race([Promise.all(ids.map(push)), dead])
  const left = ids.filter((_, at) => first[at]?.status !== 204)
  assert.ok(first.every(({ status, reason }) => status === 204 || reason === 'busy'))
  const pushLeft = async () => {
    for (const id of left) assert.deepEqual(await push(id), { status: 204 })
  }
  await Promise.race([pushLeft(), dead])

  assert.equal((await on.modelCalls()).length, ids.length)
  for (const id of ids) assert.equal((await on.record(id))?.status, 'succeeded', id)
  const peak = peakKibOf(worker.pid)
  assert.ok(peak === undefined || peak < CONTAINER_KIB, `${peak} KiB at most`)
})

/** Pushes a job of 3 MB, and sends the same bytes for each. */
function pusher(url: string): (id: string) => Promise<Partial<Answer>> {
  const agent = new Agent({ keepAlive: true, maxSockets: JOBS })
  const end = inBase64('"}]}}')
  return (id) => {
    const begin = inBase64(`{"id":"${id}","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"`)
    const parts = [Buffer.from('{"message":{"data":"'), begin, text, end, Buffer.from('"}}')]
    const length = parts.reduce((sum, part) => sum + part.byteLength, 0)
    const { promise, resolve } = Promise.withResolvers<Partial<Answer>>()
    const post = request(`${url}/push`, { method: 'POST', agent, headers: { 'content-length': length } })
    post.on('response', async (response) => {
      const said = Buffer.concat(await response.toArray()).toString()
      const reason = said === '' ? {} : z.object({ reason: z.string() }).parse(JSON.parse(said))
      resolve({ status: response.statusCode ?? 0, ...reason })
    })
    // A worker that has refused a push need not hear it to its end: the connection may be gone before the answer is read.
    post.on('error', () => resolve({}))
    for (const part of parts) post.write(part)
    post.end()
    return promise
  }
}

/** Padded with spaces, which JSON has room for, so that nothing but base64 follows. */
function inBase64(json: string): Buffer {
  const bytes = Buffer.from(json)
  const padding = Buffer.alloc((3 - (bytes.byteLength % 3)) % 3, ' ')
  return Buffer.from(Buffer.concat([bytes, padding]).toString('base64'))
}
