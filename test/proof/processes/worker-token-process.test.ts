import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { CANARY, isSecret } from '../../support/canary.ts'
import { startProcessCloud } from '../../support/process-cloud.ts'
import { callsOf, clearFaults, placeFault } from '../../support/stand-ins.ts'
import { impatient, postTo, wrap } from '../../support/worker.ts'

/** A token with less than 30 s left is not used, so each of these serves for ten: a busy machine asks within them. */
const BRIEF = { entra: { tokenLifetimeSeconds: 40 } }
const TOKEN_SERVES_MS = 10_000
const push = (url: string, id: string) => postTo(url, JSON.stringify(wrap({ id, prompt: `Summarise: ${CANARY}` })))

describe('a worker process', () => {
  test('whose token runs out while it idles and Entra is down lives, and works again when Entra does', async () => {
    await using on = await startProcessCloud(BRIEF)
    await using worker = on.start(impatient.settings)
    const url = await worker.url()
    assert.deepEqual(await push(url, 'before'), { status: 204 })
    await placeFault(on.cloud.entra, { kind: 'reset' })
    await delay(TOKEN_SERVES_MS)
    assert.deepEqual(await push(url, 'meanwhile'), { status: 503, reason: 'token' })
    await clearFaults(on.cloud.entra)
    // As Pub/Sub does: the next try may be some seconds off.
    while ((await push(url, 'after')).status === 503);
    assert.equal((await on.record('after'))?.status, 'succeeded')
    const [failure] = await on.tokenFailures()
    assert.deepEqual(
      [failure?.leg, failure?.kind, failure?.resolvedAt !== undefined],
      ['entra_exchange', 'passing', true],
    )
    worker.kill('SIGTERM')
    assert.equal((await worker.ended).code, 0)
  })

  test('that was frozen for longer than its token lives gets another, and uses it', async () => {
    await using on = await startProcessCloud(BRIEF)
    await using worker = on.start()
    const url = await worker.url()
    assert.deepEqual(await push(url, 'before'), { status: 204 })
    worker.kill('SIGSTOP')
    await delay(TOKEN_SERVES_MS)
    worker.kill('SIGCONT')
    assert.deepEqual(await push(url, 'after'), { status: 204 })
    assert.equal((await callsOf(on.cloud.entra, 'token')).length, 2)
  })

  test('that was frozen in the middle of an exchange until its deadline was over tries again', async () => {
    await using on = await startProcessCloud()
    await using worker = on.start()
    const url = await worker.url()
    await placeFault(on.cloud.entra, { kind: 'hang', match: '/token', times: 1 })
    const pushed = push(url, 'doc-7')
    while ((await callsOf(on.cloud.metadata, 'identity')).length === 0) await delay(10)
    worker.kill('SIGSTOP')
    await delay(6_000)
    worker.kill('SIGCONT')
    assert.deepEqual(await pushed, { status: 204 })
    const [failure] = await on.tokenFailures()
    assert.match(failure?.message ?? '', /^Entra did not answer within 5000 ms$/)
  })
})

/** Brings the process down in whatever it is doing, as a fault of its own would. */
const CRASH = `data:text/javascript,process.on('SIGUSR2', () => { throw new Error('crash') })`

test('a crash in the middle of an ask logs no prompt and no token', async () => {
  await using on = await startProcessCloud()
  await using worker = on.start({}, ['--import', CRASH])
  const url = await worker.url()
  await placeFault(on.cloud.azure, { kind: 'hang' })
  const cut = assert.rejects(push(url, 'doc-7'))
  while ((await on.record('doc-7'))?.status !== 'running') await delay(10)
  worker.kill('SIGUSR2')
  await cut
  const { code, stdout, stderr } = await worker.ended
  assert.notEqual(code, 0)
  assert.match(stderr, /Error: crash/)
  assert.ok(isSecret(`${stderr} ${CANARY}`) && isSecret('Bearer abcdefgh'), 'the finder finds what is planted')
  assert.ok(!isSecret(stdout + stderr))
})
