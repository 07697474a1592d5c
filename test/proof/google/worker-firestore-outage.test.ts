import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { startWarmEmulator } from '../support/emulators.ts'
import { startAskingOverFirestore } from '../support/firestore-worker.ts'

const OUTAGE_MS = 60_000

const emulator = await startWarmEmulator('firestore')
after(() => emulator.close())
const on = await startAskingOverFirestore(emulator)
after(() => on[Symbol.asyncDispose]())

describe('a job whose model answers when Firestore is away, which lasts a minute', () => {
  let lateMs = 0
  before(async () => {
    on.worker.network.cut()
    on.letGo()
    await delay(OUTAGE_MS)
    assert.equal((await on.worker.record('doc-7'))?.status, 'running')
    on.worker.network.restore()
    const backAt = performance.now()
    await on.pushed
    lateMs = performance.now() - backAt
  })

  test('is settled with that answer, in the same push', async () => {
    assert.deepEqual(await on.pushed, { status: 204 })
    assert.equal((await on.worker.record('doc-7'))?.status, 'succeeded')
  })

  test('has cost one attempt and one model call', async () => {
    assert.equal((await on.worker.record('doc-7'))?.attempts.length, 1)
    assert.equal((await on.worker.modelCalls()).length, 1)
  })

  test('is settled soon after its return: a wait that grew with the outage would be as long again', () => {
    assert.ok(lateMs < OUTAGE_MS / 2, `${lateMs} ms`)
  })
})
