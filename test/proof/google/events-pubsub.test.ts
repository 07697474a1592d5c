import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { createPubSub, openPubSubQueue } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { createAnnouncer } from '../../../worker/events/announce.ts'
import { completionEvent } from '../../../worker/events/completion-event.ts'
import { createLog } from '../../../worker/observe/log.ts'
import { aDeadLetteredRecord } from '../../support/job-builders.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const EVENTS = 'events'
const record = aDeadLetteredRecord({ metadata: { Zeile: 'sieben …', 'goog-row': '7', empty: '' } })

const emulator = await startWarmEmulator('pubsub')
after(() => emulator.close())

/** A project of its own, and its announcer. */
function open() {
  const options = { project: `p-${randomUUID()}`, emulator: emulator.address }
  const queue = openPubSubQueue(options)
  const log = createLog('silent', { write: () => undefined })
  return { ...options, queue, announce: createAnnouncer({ queue, topic: EVENTS, project: options.project, log }) }
}

test('an event comes out of Pub/Sub as it was made', async (t) => {
  const { queue, announce, ...options } = open()
  const admin = createPubSub(options)
  t.after(() => Promise.all([queue.close(), admin.close()]))
  const [topic] = await admin.createTopic(EVENTS)
  const [subscription] = await topic.createSubscription('all')
  await announce(record)
  const [message] = await once(subscription, 'message')
  message.ack()
  const made = completionEvent(record, `/promptbridge/projects/${options.project}`)
  assert.deepEqual({ ...message.attributes }, made.attributes)
  assert.equal(Buffer.from(message.data).toString(), Buffer.from(made.data).toString())
})

test('the job is redelivered while the events topic does not exist', async (t) => {
  const { queue, announce } = open()
  t.after(() => queue.close())
  await assert.rejects(announce(record), { name: 'QueueError', code: 'unavailable' })
})
