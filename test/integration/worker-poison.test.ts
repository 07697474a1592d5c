import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'
import { callsOf, startCloud } from '../support/stand-ins.ts'
import { startWorker, wrap } from '../support/worker.ts'

const messages = [{ role: 'user', content: 'Bridges carry people over water, in all weathers.' }]
const job = { custom_id: 'doc-7', method: 'POST', url: '/v1/chat/completions', body: { messages } }

const cloud = await startCloud()
after(() => cloud.close())

describe('poison', () => {
  for (const [why, data, error] of [
    ['is no JSON', 'Summarise: canary', /^the data is not JSON$/],
    ['is no text', Uint8Array.of(0xff, 0xfe, 0x80), /^the data is not UTF-8 text$/],
    ['is a list', '[]', /^the data is not a JSON object$/],
    ['is empty', '', /^the data is not JSON$/],
    ['lacks its body', { url: '/v1/chat/completions' }, /^body: /],
    ['has an unknown field', { ...job, priority: 1 }, /^the job: unknown field "priority"$/],
    ['asks what cannot be asked here', { ...job, url: '/v1/files' }, /^url: cannot be asked here/],
    ['wants a stream', { ...job, body: { messages, stream: true } }, /^body.stream: can only be false/],
    ['has 10 MB of data', Buffer.alloc(10_000_000, 'x'), /^the job is 10000000 bytes long; at most 4194304 are read$/],
  ] as const) {
    test(`that ${why} is acknowledged and lies in the dead-letter topic as it came`, async () => {
      await using worker = await startWorker(cloud)
      assert.deepEqual(await worker.push(data, { attributes: { origin: 'test' } }), { status: 204 })
      const [letter, ...others] = await worker.deadLetters()
      assert.deepEqual(others, [])
      assert.deepEqual([letter?.attributes['pb-reason'], letter?.attributes['origin']], ['invalid', 'test'])
      assert.match(letter?.attributes['pb-error'] ?? '', error)
      assert.equal(Buffer.from(letter?.data ?? []).toString('base64'), wrap(data).message.data)
      assert.deepEqual(await worker.modelCalls(), [])
    })
  }

  test('of which the envelope is broken lies there whole', async () => {
    await using worker = await startWorker(cloud)
    const body = '{"message":{"data":"not base64!","attributes":{"origin":"test"}}}'
    assert.deepEqual(await worker.post(body), { status: 204 })
    assert.deepEqual(await worker.post('{"message":7}'), { status: 204 })
    const [data, shape] = await worker.deadLetters()
    assert.deepEqual([Buffer.from(data?.data ?? []).toString(), data?.attributes['origin']], ['not base64!', 'test'])
    assert.equal(Buffer.from(shape?.data ?? []).toString(), '{"message":7}')
  })

  test('larger than any push of Pub/Sub is 413', async () => {
    await using worker = await startWorker(cloud)
    assert.equal((await worker.post(Buffer.alloc(14_500_001, 'x'))).status, 413)
  })

  test('needs neither a token nor a model', async () => {
    await using worker = await startWorker(cloud)
    const tokenCalls = async () => (await callsOf(cloud.metadata)).length + (await callsOf(cloud.entra)).length
    const before = await tokenCalls()
    assert.deepEqual(await worker.push('not JSON'), { status: 204 })
    assert.equal(await tokenCalls(), before)
  })
})

test('a push that breaks off on its way is no fault of ours', async () => {
  await using worker = await startWorker(cloud)
  const { hostname, port } = new URL(worker.url)
  const caller = connect(Number(port), hostname)
  caller.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 100\r\n\r\n{"mess')
  await (await fetch(`${worker.url}/healthz`)).text()
  caller.destroy()
  while (worker.logText() === '') await (await fetch(`${worker.url}/healthz`)).text()
  assert.match(worker.logText(), /^{"severity":"INFO".*a push ended before its body was complete"}\n$/)
})

describe('a job that nothing can come of', () => {
  for (const [why, body, error] of [
    [
      'names a model without a deployment',
      { model: 'gpt-nowhere', messages },
      'no deployment serves the model it names',
    ],
    [
      'asks for more output than is allowed',
      { messages, max_completion_tokens: 32_769 },
      'it asks for up to 32769 output tokens; MAX_OUTPUT_TOKENS is 32768',
    ],
  ] as const) {
    test(`because it ${why} is settled and dead-lettered, without an attempt`, async () => {
      await using worker = await startWorker(cloud)
      assert.deepEqual(await worker.push({ ...job, body }), { status: 204 })
      const record = await worker.record('doc-7')
      assert.ok(record?.status === 'dead_lettered')
      assert.deepEqual([record.error.kind, record.error.message, record.attempts], ['invalid', error, []])
      const [letter] = await worker.deadLetters()
      assert.deepEqual(
        [letter?.attributes['pb-reason'], letter?.attributes['pb-error'], letter?.attributes['pb-key']],
        ['invalid', error, record.key],
      )
      assert.deepEqual(await worker.modelCalls(), [])
    })
  }

  test('because its model may come with a rollout waits on Cloud Run until its message is ten minutes old', async () => {
    const clock = Date.now()
    const instance = { id: 'i', service: 'worker', revision: 'worker-00002-abc' }
    await using worker = await startWorker(cloud, { dependencies: { instance } })
    const unserved = { ...job, body: { model: 'gpt-nowhere', messages } }
    const published = (minutesAgo: number) => ({ publishTime: new Date(clock - minutesAgo * 60_000).toISOString() })
    const deferred = { status: 503, reason: 'busy' }
    assert.deepEqual(await worker.push(unserved, published(8)), deferred)
    // Neither a publisher's clock that is ahead nor a push that says no time ends it sooner.
    assert.deepEqual(await worker.push(unserved, published(-60)), deferred)
    assert.deepEqual(await worker.push(unserved), deferred)
    assert.deepEqual([await worker.record('doc-7'), await worker.deadLetters()], [undefined, []])
    assert.deepEqual(await worker.push(unserved, published(10)), { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'dead_lettered')
    assert.equal((await worker.deadLetters())[0]?.attributes['pb-error'], 'no deployment serves the model it names')
  })

  test('asks for as much output as is allowed, and is asked', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.push({ ...job, body: { messages, max_tokens: 32_768 } }), { status: 204 })
    assert.equal((await worker.record('doc-7'))?.status, 'succeeded')
  })
})
