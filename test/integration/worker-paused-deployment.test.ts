import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_DEPLOYMENT } from '../../local/azure-openai.ts'
import { openSqlitePausedDeployments } from '../../shared/stores/sqlite/sqlite-paused-deployments.ts'
import { DONE, deferred, JOB, onWorker } from '../support/on-worker.ts'
import { startCloud } from '../support/stand-ins.ts'

const READ_EVERY_MS = 5_000
const names = ['first', 'second']

test('a paused deployment gets no requests: another one of its model does, or the job waits without a record', async () => {
  await using on = await startCloud({ azure: { deployments: names.map((name) => ({ ...DEFAULT_DEPLOYMENT, name })) } })
  const DEPLOYMENTS = JSON.stringify(names.map((deployment) => ({ model: 'm', endpoint: on.azure.url, deployment })))
  const settings = { DEPLOYMENTS, AZURE_OPENAI_ENDPOINT: '', AZURE_OPENAI_DEPLOYMENT: '' }
  const fact: Parameters<typeof onWorker>[1] = async (worker) => {
    const paused = await openSqlitePausedDeployments(worker.file)
    const askedOf = async (id: string) => {
      const record = await worker.record(id)
      return record?.attempts.map(({ deployment }) => deployment)
    }
    await paused.pause('first')
    assert.deepEqual(await worker.push({ ...JOB, id: 'a' }), DONE)
    assert.deepEqual(await askedOf('a'), ['second'])

    await paused.pause('second')
    worker.clock.aheadMs += READ_EVERY_MS
    assert.deepEqual(await worker.push({ ...JOB, id: 'b' }), deferred('busy'))
    assert.equal(await worker.record('b'), undefined)
    assert.match(worker.logText(), /"code":"paused".*promptbridge resume --deployment NAME/)

    await paused.resume('first')
    worker.clock.aheadMs += READ_EVERY_MS
    assert.deepEqual(await worker.push({ ...JOB, id: 'b' }), DONE)
    assert.deepEqual(await askedOf('b'), ['first'])
    paused.close()
  }
  await onWorker(settings, fact, on)
})
