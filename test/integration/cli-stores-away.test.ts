import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { runHosted } from '../support/run-hosted.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const LINE = JSON.stringify({
  ...{ custom_id: 'doc-7', method: 'POST', url: '/v1/chat/completions' },
  body: { messages: [{ role: 'user', content: 'Summarise this.' }] },
})

for (const args of [
  ...[['batches'], ['batch', 'nightly'], ['wait', 'nightly'], ['results', 'nightly'], ['show', 'doc-7']],
  ...[
    ['cancel', 'doc-7'],
    ['dead-letters', 'list'],
    ['token', 'failures'],
    ['submit', 'jobs.jsonl'],
  ],
]) {
  test(`${args.join(' ')}: a Firestore that cannot be reached is an error with its address, project and database`, async (t) => {
    const jobs = await aTemporaryFile(t, 'jobs.jsonl')
    await writeFile(jobs, `${LINE}\n`)
    const [firestore, pubsub] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const env = { GOOGLE_CLOUD_PROJECT: 'p', FIRESTORE_EMULATOR_HOST: firestore, PUBSUB_EMULATOR_HOST: pubsub }
    const seen = await runHosted(
      args.map((arg) => (arg === 'jobs.jsonl' ? jobs : arg)),
      { env },
    )
    const stderr = `promptbridge: Firestore at ${firestore} (project p, database (default)) cannot be reached (connect ECONNREFUSED ${firestore}): check this emulator, or correct or unset FIRESTORE_EMULATOR_HOST, which names it\n`
    assert.deepEqual(seen, { code: 1, stdout: '', stderr })
  })
}
