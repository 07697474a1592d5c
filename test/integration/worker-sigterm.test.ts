import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { JOB } from '../support/on-worker.ts'
import { startProcessCloud } from '../support/process-cloud.ts'
import type { CloudOverrides } from '../support/stand-ins.ts'
import { holdAnswers, postTo, wrap } from '../support/worker.ts'

const pushed = JSON.stringify(wrap(JOB))

/** A cloud, and a worker process that works with it. */
async function startProcess(azure: CloudOverrides['azure'] = {}) {
  await using started = new AsyncDisposableStack()
  const on = started.use(await startProcessCloud({ azure }))
  const worker = started.use(on.start())
  const at = await worker.url()
  const cleanups = started.move()
  const end = { [Symbol.asyncDispose]: () => cleanups.disposeAsync() }
  return { ...on, worker, at, push: () => postTo(at, pushed), ...end }
}

/** What the process says when it has to end before its jobs have. */
const ENDED_BY_FORCE = /could not be released in time/

describe('a worker process', { concurrency: 3 }, () => {
  test('a worker without jobs ends by itself, though connections are kept alive', async () => {
    await using on = await startProcess()
    await (await fetch(`${on.at}/healthz`)).text()
    on.worker.kill('SIGTERM')
    const { code, stdout } = await on.worker.ended
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, ENDED_BY_FORCE)
  })

  test('a job that is being asked at SIGTERM is finished, and the worker ends with 0', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using on = await startProcess(options)
    const answer = on.push()
    await askedBy(answer)
    on.worker.kill('SIGTERM')
    await on.worker.logged(/shutdown requested/)
    letGo()
    assert.deepEqual(await answer, { status: 204 })
    assert.equal((await on.worker.ended).code, 0)
    assert.equal((await on.record('doc-7'))?.status, 'succeeded')
  })
})
