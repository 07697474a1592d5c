import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { checkEmbeddedQueue } from '../../cli/doctor/check-embedded-queue.ts'
import { findPaidTwice } from '../../cli/violations.ts'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { readConfig } from '../../shared/config/config.ts'
import { unknownAttempts } from '../../shared/job/attempts.ts'
import { isSettled, type JobRecord } from '../../shared/job/record.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { type ProcessCloud, startProcessCloud } from '../support/process-cloud.ts'
import { runHosted } from '../support/run-hosted.ts'
import { JOBS } from '../support/served-worker.ts'
import { holdAnswers } from '../support/worker.ts'

const JOB_COUNT = 20
const IDS = Array.from({ length: JOB_COUNT }, (_, n) => `doc-${n}`)
/** No setting that a push needs, and a short deadline: the leases of a killed worker last about as long. */
const SETTINGS = {
  ...{ PUSH_AUTH: '', HOST: '0.0.0.0', JOBS_TOPIC: JOBS, RECORD_TTL_DAYS: '30' },
  ...{ ACK_DEADLINE_SECONDS: '10', MODEL_TIMEOUT_SECONDS: '2' },
}
const LOOK_EVERY_MS = 50

function line(id: string): string {
  const content = id === 'doc-7' ? CONTENT_FILTER_MARKER : `Bridge ${id} carries people over water.`
  const body = { model: 'gpt-4o-mini', messages: [{ role: 'user', content }] }
  return JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body })
}

async function submit({ folder }: ProcessCloud, file: string): Promise<void> {
  const input = join(folder, 'jobs.jsonl')
  await writeFile(input, `${IDS.map(line).join('\n')}\n`)
  const { code, stderr } = await runHosted([
    'submit',
    input,
    '--batch',
    'b',
    '--topic',
    JOBS,
    '--store',
    `sqlite:${file}`,
  ])
  assert.equal(code, 0, stderr)
  const queue = await openSqliteQueue(file, Date.now)
  await queue.publish(JOBS, { data: Buffer.from('poison'), attributes: { batch: 'b' } })
  await queue.close()
}

async function settledRecords(on: ProcessCloud): Promise<readonly JobRecord[]> {
  for (;;) {
    const records = await Promise.all(IDS.map((id) => on.record(id, 'b')))
    const settled = records.filter((record) => record !== undefined && isSettled(record))
    if (settled.length === JOB_COUNT && (await on.recorded()).length === 2) return settled
    await delay(LOOK_EVERY_MS)
  }
}

test('a worker on a SQLite file delivers what submit published; killed in the middle, the next one loses nothing and pays nothing twice', async () => {
  const { options, askedBy, letGo } = holdAnswers(JOB_COUNT - 1)
  await using on = await startProcessCloud({ azure: options })
  const file = join(on.folder, 'state.db')
  await submit(on, file)
  const seen = async () => {
    const config = readConfig({ ...on.cloud.env, STORE: `sqlite:${file}` })
    const { ok, seen } = await checkEmbeddedQueue(file, JOBS, config)
    return [ok, seen]
  }
  assert.deepEqual(await seen(), [false, `21 messages wait or are under way in jobs, and no worker runs on ${file}`])
  {
    await using killed = on.start(SETTINGS)
    await askedBy(killed.ended.then(() => ({ status: 0 })))
    killed.kill('SIGKILL')
    await killed.ended
  }
  letGo()
  await using worker = on.start(SETTINGS)
  const records = await settledRecords(on)
  assert.equal((await seen())[0], true)
  assert.equal(records.filter(({ status }) => status === 'succeeded').length, JOB_COUNT - 1)
  const letters = await on.recorded()
  assert.deepEqual(letters.map(({ reason }) => reason).toSorted(), ['invalid', 'rejected'])
  const sends = (await on.modelCalls())
    .filter(({ detail }) => detail['billed'] === true)
    .map(({ detail }) => String(detail['clientRequestId']))
  const unknownOf = new Map(records.map((record) => [record.key, unknownAttempts(record)]))
  assert.deepEqual(
    findPaidTwice(sends, (key) => unknownOf.get(key) ?? 0),
    [],
  )
  worker.kill('SIGTERM')
  assert.equal((await worker.ended).code, 0)
  assert.deepEqual([...(await on.rescued()), ...(await on.deadLetters())], [])
})
