import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openCallLog } from '../../local/call-log.ts'
import { startMetadataServer } from '../../local/metadata-server.ts'
import { callsOf } from '../support/stand-ins.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const call = {
  at: 1_000,
  service: 'azure-openai',
  operation: 'ChatCompletions_Create',
  status: null,
  durationMs: 12,
  detail: { billed: true, promptTokens: 28, finish: 'stop', clientRequestId: null },
} as const

test('a call is read back as it was recorded, by everyone who shares the file', async (t) => {
  const path = await aTemporaryFile(t)
  const [writer, reader] = await Promise.all([openCallLog(path), openCallLog(path)])
  await writer.record(call)
  assert.deepEqual(await reader.read({}), [{ id: 1, ...call }])
  writer.close()
  reader.close()
})

test('calls outlive the stand-in, and ids go on where they were', async (t) => {
  const path = await aTemporaryFile(t)
  const before = await openCallLog(path)
  await before.record(call)
  before.close()
  const after = await openCallLog(path)
  await after.record(call)
  const calls = await after.read({ after: 1 })
  const ids = calls.map(({ id }) => id)
  assert.deepEqual(ids, [2])
  after.close()
})

test('a stand-in lists only its own calls, though others write to the same file', async () => {
  const log = await openCallLog()
  await log.record(call)
  const metadata = await startMetadataServer({ log })
  await fetch(metadata.certsUrl)
  const calls = await callsOf(metadata)
  const seen = calls.map(({ service, operation }) => [service, operation])
  assert.deepEqual(seen, [['metadata', 'certs']])
  await metadata.close()
  log.close()
})

test('a stand-in listens on the given port, and says when that is in use', async () => {
  const first = await startMetadataServer()
  const port = Number(new URL(first.url).port)
  await assert.rejects(startMetadataServer({ port }), { code: 'EADDRINUSE' })
  await first.close()
  const second = await startMetadataServer({ port })
  assert.equal(second.url, first.url)
  await second.close()
})
