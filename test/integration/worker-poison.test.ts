import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { cloud, DONE, JOB, onWorker } from '../support/on-worker.ts'
import { callsOf } from '../support/stand-ins.ts'
import { wrap } from '../support/worker.ts'

const { messages } = JOB.body

describe('poison', () => {
  for (const [why, data, error] of [
    ['is no JSON', 'Summarise: canary', /^the data is not JSON$/],
    ['is no text', Uint8Array.of(0xff, 0xfe, 0x80), /^the data is not UTF-8 text$/],
    ['is empty', '', /^the data is not JSON$/],
    ['has an unknown field', { ...JOB, priority: 1 }, /^the job: unknown field "priority"$/],
    ['has 10 MB of data', Buffer.alloc(10_000_000, 'x'), /^the job is 10000000 bytes long; at most 4194304 are read$/],
  ] as const) {
    test(`that ${why} is acknowledged, dead-lettered as it came, and needs neither a token nor a model`, () =>
      onWorker({}, async (worker) => {
        const tokenCalls = async () => (await callsOf(cloud.metadata)).length + (await callsOf(cloud.entra)).length
        const before = await tokenCalls()
        assert.deepEqual(await worker.push(data, { attributes: { origin: 'test' } }), DONE)
        const [letter, ...others] = await worker.deadLetters()
        assert.deepEqual(others, [])
        assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['origin']], ['invalid', 'test'])
        assert.match(letter?.attributes['pb-error'] ?? '', error)
        assert.equal(Buffer.from(letter?.data ?? []).toString('base64'), wrap(data).message.data)
        assert.deepEqual([await tokenCalls(), await worker.modelCalls()], [before, []])
      }))
  }

  test('larger than any push of Pub/Sub is 413', () =>
    onWorker({}, async (worker) => {
      assert.equal((await worker.post(Buffer.alloc(14_500_001, 'x'))).status, 413)
    }))
})

test('a push that breaks off on its way is logged as information, not as an error', () =>
  onWorker({}, async (worker) => {
    const { hostname, port } = new URL(worker.url)
    const caller = connect(Number(port), hostname)
    caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 100\r\n\r\n{"mess')
    await (await fetch(`${worker.url}/healthz`)).text()
    caller.destroy()
    while (worker.logText() === '') await (await fetch(`${worker.url}/healthz`)).text()
    assert.match(worker.logText(), /^{"severity":"INFO".*a push ended before its body was complete"}\n$/)
  }))

describe('a job that can never be asked', () => {
  test('because no deployment serves its model is settled and dead-lettered, without an attempt', () =>
    onWorker({}, async (worker) => {
      assert.deepEqual(await worker.push({ ...JOB, body: { messages, model: 'gpt-nowhere' } }), DONE)
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'dead_lettered')
      const message = 'no deployment serves the model it names'
      assert.deepEqual([record.error.kind, record.error.message, record.attempts], ['invalid', message, []])
      const [letter] = await worker.deadLetters()
      const { 'pb-reason': reason, 'pb-error': error, 'pb-key': key } = letter?.attributes ?? {}
      assert.deepEqual([reason, error, key], ['invalid', message, record.key])
      assert.deepEqual(await worker.modelCalls(), [])
    }))
})
