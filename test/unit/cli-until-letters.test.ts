import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { untilLetters } from '../../cli/run/until-letters.ts'
import { openStores, type Stores } from '../../shared/stores/open.ts'
import { aNewDeadLetter, LETTER_DATA } from '../support/dead-letter-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const MESSAGE = { data: Buffer.from('a message'), attributes: {} }
const FAILED = { name: 'nightly', counts: { dead_lettered: 1 } }

/** Waits on a store that `act` changes at each look; counts the looks and the reports of a long wait. */
async function onLooks(t: TestContext, batch: typeof FAILED, act: (stores: Stores, looks: number) => Promise<unknown>) {
  const path = await aTemporaryFile(t, 'queue.db')
  const stores = await openStores({ kind: 'sqlite', path }, { now: Date.now, emulators: NONE })
  t.after(() => stores.close())
  let [looks, late] = [0, 0]
  await act(stores, looks)
  const areRecorded = await untilLetters(batch, {
    ...{ path, jobsTopic: 'jobs', deadLetterTopic: 'dead', deadLetters: stores.deadLetters },
    wait: () => act(stores, ++looks),
    onLate: () => {
      late += 1
    },
  })
  return { areRecorded, looks, late }
}

const NONE = { firestore: undefined, pubsub: undefined }
const atFirst = (topic: string) => (stores: Stores, looks: number) =>
  looks === 0 ? stores.queue.publish(topic, MESSAGE) : Promise.resolve()

test('dead letters of a run: without a failed job nothing is waited for, whatever else the queue holds', async (t) => {
  const none = { name: 'nightly', counts: { dead_lettered: 0 } }
  assert.deepEqual(await onLooks(t, none, atFirst('dead')), { areRecorded: true, looks: 0, late: 0 })
})

test('dead letters of a run: with an empty queue all are recorded', async (t) => {
  assert.deepEqual(await onLooks(t, FAILED, async () => undefined), { areRecorded: true, looks: 0, late: 0 })
})

test('dead letters of a run: a job whose message is still there may not have published its letter yet', async (t) => {
  const seen = await onLooks(t, FAILED, async (stores, looks) => {
    if (looks === 0) await stores.queue.publish('jobs', MESSAGE)
    if (looks === 2) await stores.deadLetters.put(aNewDeadLetter({ batch: 'nightly' }), LETTER_DATA)
  })
  assert.deepEqual(seen, { areRecorded: true, looks: 2, late: 0 })
})

for (const topic of ['jobs', 'dead']) {
  test(`dead letters of a run: a message that stays in the topic ${topic} is waited for with one report, and not without end`, async (t) => {
    assert.deepEqual(await onLooks(t, FAILED, atFirst(topic)), { areRecorded: false, looks: 39, late: 1 })
  })
}
