import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { z } from 'zod'
import { messageType, readOperations } from './firestore/read-operations.ts'
import { startChild } from './harness/child.ts'

const SERVICE = '/google.firestore.v1.Firestore'
/** A message as gRPC frames it. */
function framed(name: string, content: object, flag = 0): Buffer {
  const type = messageType(name)
  const message = type.encode(type.fromObject(content)).finish()
  const prefix = Buffer.alloc(5)
  prefix.writeUInt8(flag)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

const writes = [{ delete: 'a' }, { delete: 'b' }]
const NOTHING = Buffer.alloc(0)

describe('on the wire', () => {
  test('a BatchWrite is as many writes as it carries, and those with status 0 were applied', () => {
    const sent = framed('BatchWriteRequest', { writes })
    const came = framed('BatchWriteResponse', { status: [{}, { code: 6 }] })
    const counted = readOperations(`${SERVICE}/BatchWrite`, sent, came)
    assert.deepEqual(counted, { reads: 0, writes: 2, appliedWrites: 1, calls: 1 })
  })

  test('a Commit is as many writes as it carries, and none was applied without an answer', () => {
    const sent = framed('CommitRequest', { writes })
    const came = framed('CommitResponse', { writeResults: [{}, {}] })
    assert.equal(readOperations(`${SERVICE}/Commit`, sent, came).appliedWrites, 2)
    const refused = readOperations(`${SERVICE}/Commit`, sent, NOTHING)
    assert.deepEqual(refused, { reads: 0, writes: 2, appliedWrites: 0, calls: 1 })
  })

  test('a BatchGetDocuments is as many reads as it names documents', () => {
    const sent = framed('BatchGetDocumentsRequest', { documents: ['a', 'b', 'c'] })
    const counted = readOperations(`${SERVICE}/BatchGetDocuments`, sent, NOTHING)
    assert.deepEqual(counted, { reads: 3, writes: 0, appliedWrites: 0, calls: 1 })
  })

  test('a call of an unknown method is an error, and so is a compressed one', () => {
    assert.throws(() => readOperations(`${SERVICE}/RunQuery`, NOTHING, NOTHING), /cannot count/)
    assert.throws(
      () => readOperations(`${SERVICE}/Commit`, framed('CommitRequest', { writes }, 1), NOTHING),
      /compressed/,
    )
  })
})

describe('a process that is asked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  after(() => rmSync(folder, { recursive: true }))
  const start = (script: string) => {
    const module = join(folder, `${crypto.randomUUID()}.mjs`)
    writeFileSync(module, script)
    return startChild(module)
  }

  test('answers each question', async () => {
    await using child = start("process.on('message', ({ n }) => process.send({ n: n + 1 }))")
    const answer = z.object({ n: z.number() })
    assert.deepEqual([await child.ask({ n: 1 }, answer), await child.ask({ n: 2 }, answer)], [{ n: 2 }, { n: 3 }])
  })

  test('and ends without an answer is an error, and so is one that has ended before', async () => {
    await using child = start("process.on('message', () => process.exit(3))")
    await assert.rejects(child.ask({}, z.object({})), /ended \(3\)/)
    await assert.rejects(child.ask({}, z.object({})), /ended \(3\)/)
  })

  test('and answers something else is an error', async () => {
    await using child = start("process.on('message', () => process.send({ n: 'one' }))")
    await assert.rejects(child.ask({}, z.object({ n: z.number() })), z.ZodError)
  })
})
