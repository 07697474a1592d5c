import assert from 'node:assert/strict'
import { test } from 'node:test'
import { azureAnswers, cloud, DONE, JOB, onWorker } from '../support/on-worker.ts'
import { clearFaults } from '../support/stand-ins.ts'

const CODE = 'unsupported_parameter: max_tokens'
const nightly = (n: number) => ({ ...JOB, id: `doc-${n}`, batch: 'nightly' })

test('a batch whose first 20 answers are one refusal asks no more, says so once, and goes on when it is replayed', () =>
  onWorker({}, async (worker) => {
    await azureAnswers({ error: 'unsupported_parameter' })
    for (let n = 1; n <= 22; n += 1) assert.deepEqual(await worker.push(nightly(n)), DONE)
    assert.equal((await worker.modelCalls()).length, 20)
    const record = await worker.record('doc-22', 'nightly')
    assert.ok(record?.status === 'dead_lettered')
    assert.deepEqual([record.attempts, record.error.kind, record.error.code], [[], 'rejected', CODE])
    assert.match(record.error.hint ?? '', /replay --batch nightly --reason rejected --force$/)
    assert.equal((await worker.deadLetters()).length, 22)
    assert.equal(worker.logText().match(/"outcome":"batch_stopped"/g)?.length, 1)

    assert.deepEqual(await worker.push({ ...JOB, id: 'alone' }), DONE)
    assert.deepEqual(await worker.push({ ...JOB, id: 'other', batch: 'weekly' }), DONE)
    assert.equal((await worker.modelCalls()).length, 22)

    await clearFaults(cloud.azure)
    assert.deepEqual(await worker.push(nightly(22), { attributes: { 'pb-run': '2' } }), DONE)
    assert.equal((await worker.record('doc-22', 'nightly'))?.status, 'succeeded')
  }))
