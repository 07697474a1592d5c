import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DEFAULT_DEPLOYMENT } from '../../../local/azure-openai.ts'
import { startProcessCloud } from '../../support/process-cloud.ts'
import { ended } from '../../support/sockets.ts'
import { DEAD_LETTERS, JOBS, wrap } from '../../support/worker.ts'
import { crowdedData, crowdedPushes, largestJob } from '../support/hostile/crowded.ts'
import { hashOf, openKeptData } from '../support/hostile/kept-data.ts'
import { sendRaw } from '../support/hostile/send-raw.ts'
import { peakKibOf } from '../support/peak-memory.ts'

/** What Node takes for its heap by itself in a container of 512 MiB. */
const HEAP_MIB = 256
const MEMORY_KIB = 512 * 1_024
/** How much longer a message may block the event loop than the largest job that is accepted. */
const MOST_BLOCKED = 8
const ROUNDS = 3
const PRELOADED = join(import.meta.dirname, '../support/hostile/loop-delay.ts')

const unlimited = { contextWindow: 1e9, tokensPerMinute: 1e12, requestsPerMinute: 1e9 }
const on = await startProcessCloud({ azure: { deployments: [{ ...DEFAULT_DEPLOYMENT, ...unlimited }] } })
after(() => on[Symbol.asyncDispose]())
const delays = join(on.folder, 'delays')
const settings = { JOBS_TOPIC: JOBS, LOOP_DELAY_FILE: delays }
const worker = on.start(settings, [`--max-old-space-size=${HEAP_MIB}`, `--import=${PRELOADED}`])
after(() => worker[Symbol.asyncDispose]())
const url = await worker.url()
const died = worker.ended.then(({ code, stderr }) =>
  Promise.reject(new Error(`the worker ended with ${code}: ${stderr}`)),
)
died.catch(() => undefined)

async function push(path: string, body: Uint8Array): Promise<number> {
  const head = `POST ${path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\ncontent-length: ${body.byteLength}\r\n\r\n`
  const answer = await Promise.race([sendRaw(url, Buffer.concat([Buffer.from(head), body])), died])
  return answer.status
}

/** Whether the worker answers. It closes a connection without a word while it has as many as it takes. */
async function isServed(): Promise<boolean> {
  const answer = await fetch(`${url}/healthz`).catch(() => undefined)
  await answer?.text()
  return answer?.status === 200
}

/** For how long the event loop was blocked at the longest while this was done, in nanoseconds. */
async function blockedBy(work: () => Promise<unknown>): Promise<number> {
  await longestSince()
  await work()
  return await longestSince()
}

async function longestSince(): Promise<number> {
  const before = written().length
  worker.kill('SIGUSR2')
  while (written().length === before) await Promise.race([delay(5), died])
  return Number(written().at(-1))
}

function written(): readonly string[] {
  return readFileSync(delays, { encoding: 'utf8', flag: 'a+' }).split('\n').slice(0, -1)
}

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

interface Attack {
  readonly what: string
  /** What is pushed, and what is to be kept of it. `mark`: so many spaces at its end, so that no two are alike. */
  readonly make: (mark: number) => { readonly body: Buffer; readonly kept: Buffer }
}

const marked = (text: string, mark: number) => Buffer.from(text + ' '.repeat(mark))
const asItIs = (text: string) => (mark: number) => ({ body: marked(text, mark), kept: marked(text, mark) })
const wrapped = (text: string) => (mark: number) => {
  const kept = marked(text, mark)
  return { body: Buffer.from(JSON.stringify(wrap(kept))), kept }
}
const attacks: readonly Attack[] = [
  ...Object.entries(crowdedData).flatMap(([what, text]) => [
    { what: `${what}, wrapped,`, make: wrapped(text) },
    { what, make: asItIs(text) },
  ]),
  ...Object.entries(crowdedPushes).map(([what, text]) => ({ what, make: asItIs(text) })),
]

describe(`messages made of very much, sent to a worker with a heap of ${HEAP_MIB} MiB`, () => {
  for (const path of ['/push', '/dead-letter']) {
    for (const [n, { what, make }] of attacks.entries()) {
      test(`${path}: ${what} end as a dead letter, and nothing is lost`, async () => {
        using data = openKeptData(`${on.folder}/state.db`, [DEAD_LETTERS, JOBS])
        data.news()
        const { body, kept } = make(2 * (n % 2) + Number(path === '/push'))
        assert.equal(await push(path, body), 204)
        assert.ok(data.news().some(({ hash }) => hash === hashOf(kept)))
      })
    }
  }

  test('as many unfinished headers as there may be connections do not stop it, and it serves again', async () => {
    const { hostname, port } = new URL(url)
    const headers = Array.from({ length: 500 }, (_, n) => `x-${n}: ${'x'.repeat(240)}\r\n`).join('')
    const sockets = Array.from({ length: 1_000 }, () => connect(Number(port), hostname))
    const ends = sockets.map((socket) => {
      socket.resume()
      socket.write(`POST /push HTTP/1.1\r\nhost: worker\r\n${headers}`)
      // One above the limit is reset, where a connection from before is still counted.
      return ended(socket)
    })
    await Promise.race([Promise.all(ends), died])
    // These ends are the sender's: the worker counts a connection until it has seen its end as well.
    while (!(await isServed())) await Promise.race([delay(5), died])
  })

  test(`none blocks the event loop ${MOST_BLOCKED} times as long as the largest job that is accepted`, async (t) => {
    const samples = new Map<string, number[]>(attacks.map(({ what }) => [what, []]))
    const largest: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const job = Buffer.from(JSON.stringify(wrap(Buffer.from(largestJob(`largest-${round}`)))))
      largest.push(await blockedBy(() => push('/push', job)))
      assert.equal((await on.record(`largest-${round}`))?.status, 'succeeded')
      for (const { what, make } of attacks) samples.get(what)?.push(await blockedBy(() => push('/push', make(9).body)))
    }
    const usual = median(largest)
    const ratios = [...samples].map(([what, found]) => ({ what, ratio: median(found) / usual }))
    t.diagnostic(`the largest job: ${(usual / 1e6).toFixed(1)} ms`)
    for (const { what, ratio } of ratios) t.diagnostic(`${ratio.toFixed(2)} × ${what}`)
    assert.deepEqual(
      ratios.filter(({ ratio }) => ratio > MOST_BLOCKED),
      [],
    )
  })

  test('the worker lives, and kept within its memory', async (t) => {
    assert.equal((await fetch(`${url}/readyz`)).status, 200)
    const peak = peakKibOf(worker.pid)
    t.diagnostic(`${peak} KiB at most`)
    assert.ok(peak === undefined || peak < MEMORY_KIB)
    worker.kill('SIGTERM')
    const { code, stderr } = await worker.ended
    assert.deepEqual([code, stderr], [0, ''])
  })
})
