import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { writeResults } from '../../cli/results/write-results.ts'
import type { SettledRecord } from '../../shared/job/record.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { aRunningRecord, aSucceededRecord } from '../support/job-builders.ts'

const ANSWER = '{"object":"chat.completion"}'

test('results: records that cannot be read are counted and end no listing', async () => {
  const out = new PassThrough()
  const listing = [{ unreadable: 'key-1' }, { record: aRunningRecord() }, { record: aSucceededRecord }]
  const [written, lines] = await Promise.all([
    writeResults(out, { readResult: async () => ANSWER }, listing),
    text(out),
  ])
  assert.deepEqual(written, { unreadable: 1, keys: ['key-1'], torn: 0 })
  assert.deepEqual(lines.trimEnd().split('\n').map(idIn), [aSucceededRecord.id])
})

test('results: an answer whose parts are not whole is a line with an error, and the next one is written', async () => {
  const out = new PassThrough()
  const listing = ['torn', 'whole'].map((id) => ({ record: { ...aSucceededRecord, id } }))
  const readResult = async ({ id }: SettledRecord) => {
    if (id === 'torn') throw new StoreError('corrupt', 'not whole')
    return ANSWER
  }
  const [written, lines] = await Promise.all([writeResults(out, { readResult }, listing), text(out)])
  const [torn = '', whole = ''] = lines.split('\n')
  assert.equal(written.torn, 1)
  assert.partialDeepStrictEqual(JSON.parse(torn), { custom_id: 'torn', response: null, error: { code: 'corrupt' } })
  assert.partialDeepStrictEqual(JSON.parse(whole), { custom_id: 'whole', error: null })
})

test('results: no further answer is read while the stream has no room', async () => {
  let read = 0
  const readResult = async () => {
    read += 1
    return JSON.stringify('x'.repeat(100_000))
  }
  const out = new PassThrough({ highWaterMark: 1 })
  const listing = Array.from({ length: 50 }, () => ({ record: aSucceededRecord }))
  const writing = writeResults(out, { readResult }, listing)
  for (let turns = 0; turns < 200; turns += 1) await turn()
  assert.ok(read <= 3, `${read} answers were read although nothing took them`)
  assert.equal((await text(out)).split('\n').length, 51)
  await writing
})

test('results: a store that is away ends the writing with its error', async () => {
  const readResult = async () => {
    throw new StoreError('unavailable', 'away')
  }
  const writing = writeResults(new PassThrough(), { readResult }, [{ record: aSucceededRecord }])
  await assert.rejects(writing, { code: 'unavailable' })
})

function idIn(line: string): unknown {
  return JSON.parse(line).custom_id
}
