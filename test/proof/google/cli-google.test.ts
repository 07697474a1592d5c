import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createPubSub } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { openStores } from '../../../shared/stores/open.ts'
import { newFolder, runCommand, until } from '../../integration/cli-harness.ts'
import { aSucceededRecord } from '../../support/job-builders.ts'
import { aTokenFailure } from '../../support/telemetry-builders.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const PROJECT = 'a-project'
const TOPIC = 'promptbridge-jobs'

const [firestore, pubsub] = await Promise.all([startWarmEmulator('firestore'), startWarmEmulator('pubsub')])
after(() => Promise.all([firestore.close(), pubsub.close()]))
const env = {
  GOOGLE_CLOUD_PROJECT: PROJECT,
  FIRESTORE_EMULATOR_HOST: firestore.address,
  PUBSUB_EMULATOR_HOST: pubsub.address,
}

test('submit publishes to Pub/Sub and seals the batch in Firestore', async (t) => {
  const admin = createPubSub({ project: PROJECT, emulator: pubsub.address })
  t.after(() => admin.close())
  const [topic] = await admin.createTopic(TOPIC)
  const [subscription] = await topic.createSubscription('seen')
  t.after(() => subscription.close())
  const seen: unknown[] = []
  subscription.on('message', (message) => {
    seen.push([message.data.toString(), message.attributes])
    message.ack()
  })
  const jobs = join(await newFolder(t), 'jobs.jsonl')
  await writeFile(jobs, '{"id": "a", "prompt": "one"}\n{"id": "b", "prompt": "two"}\n')
  const submitted = await runCommand(t, ['submit', jobs, '--batch', 'nightly'], { env })
  assert.partialDeepStrictEqual(submitted, { code: 0, stderr: '' })
  assert.match(submitted.stdout, /^2 jobs published\nbatch nightly\n/)
  await until(() => seen.length === 2, 'not all messages came')
  assert.deepEqual(seen.toSorted(), [
    ['{"id": "a", "prompt": "one"}', { batch: 'nightly' }],
    ['{"id": "b", "prompt": "two"}', { batch: 'nightly' }],
  ])
  const emulators = { firestore: firestore.address, pubsub: pubsub.address }
  const stores = await openStores({ kind: 'firestore', project: PROJECT }, { now: Date.now, emulators })
  t.after(() => stores.close())
  assert.partialDeepStrictEqual((await stores.batches.list(1))[0], { status: 'sealed', name: 'nightly', total: 2 })
})

test('show and results read what is in Firestore', async (t) => {
  const emulators = { firestore: firestore.address, pubsub: pubsub.address }
  const stores = await openStores({ kind: 'firestore', project: PROJECT }, { now: Date.now, emulators })
  t.after(() => stores.close())
  await stores.documents.create(aSucceededRecord)
  const { id, batch } = aSucceededRecord
  const shown = await runCommand(t, ['show', id, '--batch', batch], { env })
  assert.match(shown.stdout, /^doc-7 {2}succeeded/)
  const results = await runCommand(t, ['results', batch, '--partial'], { env })
  assert.deepEqual([results.code, JSON.parse(results.stdout).custom_id], [0, id])
})

test('token failures lists what is in Firestore', async (t) => {
  const emulators = { firestore: firestore.address, pubsub: pubsub.address }
  const stores = await openStores({ kind: 'firestore', project: PROJECT }, { now: Date.now, emulators })
  t.after(() => stores.close())
  const failure = aTokenFailure({ lastAt: Date.now(), resolvedAt: undefined })
  await stores.telemetry.putTokenFailure(failure)
  await stores.telemetry.putTokenFailure(aTokenFailure({ id: 'old', lastAt: 0, resolvedAt: undefined }))
  const { resolvedAt, ...kept } = failure
  const listed = await runCommand(t, ['token', 'failures', '--json'], { env })
  assert.deepEqual([listed.code, JSON.parse(listed.stdout)], [0, kept])
})
