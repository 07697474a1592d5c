import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { startProcessCloud } from '../../support/process-cloud.ts'
import { postTo, wrap } from '../../support/worker.ts'

const prompt = 'Bridges carry people over water, in all weathers.'

describe('a worker that cannot start', () => {
  test('because its port is in use says so', async () => {
    await using on = await startProcessCloud()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = z.object({ port: z.number() }).parse(other.address())
    await using worker = on.start({ PORT: String(port) })
    const { code, stderr } = await worker.ended
    other.close()
    assert.equal(code, 1)
    assert.match(stderr, /^promptbridge worker: .*address already in use/)
  })

  test('because the folder of its store is not there says which setting to fix', async () => {
    await using on = await startProcessCloud()
    await using worker = on.start({ STORE: `sqlite:${on.folder}/nowhere/state.db` })
    const { code, stderr } = await worker.ended
    assert.equal(code, 1)
    assert.match(stderr, /STORE: the database file cannot be opened\. Does its folder exist/)
  })
})

test('a worker reads nothing that the OpenAI client would read from the environment', async () => {
  await using on = await startProcessCloud()
  const tempting = { OPENAI_BASE_URL: 'http://127.0.0.1:9/v1', OPENAI_ORG_ID: 'org', OPENAI_LOG: 'debug' }
  await using worker = on.start(tempting)
  assert.deepEqual(await postTo(await worker.url(), JSON.stringify(wrap({ id: 'doc-7', prompt }))), { status: 204 })
  worker.kill('SIGTERM')
  const { stdout, stderr } = await worker.ended
  assert.doesNotMatch(stdout + stderr, /Bridges|eyJ/)
  assert.equal((await on.modelCalls()).length, 1)
})
