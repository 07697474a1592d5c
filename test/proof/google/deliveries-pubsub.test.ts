import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, type TestContext, test } from 'node:test'
import { createPubSub } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreSavedPushes } from '../../../shared/stores/firestore/firestore-saved-pushes.ts'
import { openDeliveries } from '../../../shared/stores/open-deliveries.ts'
import { openEndpoint, readEnvelope } from '../../contract/queue-endpoint.ts'
import { runCommand } from '../../integration/cli-harness.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const TOPIC = 'promptbridge-jobs'

const [firestore, pubsub] = await Promise.all([startWarmEmulator('firestore'), startWarmEmulator('pubsub')])
after(() => Promise.all([firestore.close(), pubsub.close()]))

/** A project of its own, with the topic, and what pauses it. */
async function newProject(t: TestContext) {
  const project = `p-${randomUUID()}`
  const admin = createPubSub({ project, emulator: pubsub.address })
  t.after(() => admin.close())
  const [topic] = await admin.createTopic(TOPIC)
  const emulators = { firestore: firestore.address, pubsub: pubsub.address }
  const deliveries = await openDeliveries({ kind: 'firestore', project }, emulators)
  t.after(() => deliveries.close())
  const nameOf = (name: string) => `projects/${project}/subscriptions/${name}`
  const pushOf = async (name: string) => (await admin.subscription(name).getMetadata())[0].pushConfig
  const env = {
    GOOGLE_CLOUD_PROJECT: project,
    FIRESTORE_EMULATOR_HOST: firestore.address,
    PUBSUB_EMULATOR_HOST: pubsub.address,
  }
  return { topic, deliveries, nameOf, pushOf, env }
}

test('nothing is delivered while a subscription is paused, and all is when it is resumed', async (t) => {
  const { topic, deliveries, nameOf } = await newProject(t)
  const endpoint = await openEndpoint()
  t.after(() => endpoint.close())
  const seen = await openEndpoint()
  t.after(() => seen.close())
  await topic.createSubscription('worker', { pushEndpoint: endpoint.url })
  await topic.createSubscription('witness', { pushEndpoint: new URL('/seen', seen.url).href })
  assert.deepEqual(await deliveries.pause(TOPIC, undefined), [{ subscription: nameOf('worker'), state: 'paused' }])
  let isResumed = false
  const arrived = endpoint.next().then((push) => ({ push, isResumed }))
  await topic.publishMessage({ data: Buffer.from('a job') })
  // The message came to a subscription that is not paused: it would have come to the other.
  const witnessed = await seen.next()
  witnessed.answer(204)
  isResumed = true
  const resumed = { subscription: nameOf('worker'), state: 'resumed', endpoint: endpoint.url }
  assert.deepEqual(await deliveries.resume(TOPIC, undefined), [resumed])
  const first = await arrived
  assert.deepEqual([readEnvelope(first.push).data.toString(), first.isResumed], ['a job', true])
  first.push.answer(204)
})

test('a push comes back as it was: endpoint, identity, attributes and wrapping', async (t) => {
  const { topic, deliveries, pushOf } = await newProject(t)
  const oidcToken = { audience: 'https://worker', serviceAccountEmail: 'push@a-project.iam.gserviceaccount.com' }
  const pushEndpoint = 'http://127.0.0.1:9/push'
  const attributes = { 'x-goog-version': 'v1' }
  const noWrapper = { writeMetadata: true }
  await topic.createSubscription('worker', { pushConfig: { pushEndpoint, oidcToken, attributes, noWrapper } })
  const before = await pushOf('worker')
  assert.partialDeepStrictEqual(before, { pushEndpoint, oidcToken })
  await deliveries.pause(TOPIC, undefined)
  assert.equal((await pushOf('worker'))?.pushEndpoint || 'none', 'none')
  await deliveries.resume(TOPIC, undefined)
  assert.deepEqual(await pushOf('worker'), before)
})

test('pausing twice and resuming twice are harmless', async (t) => {
  const { topic, deliveries, pushOf } = await newProject(t)
  await topic.createSubscription('worker', { pushEndpoint: 'http://127.0.0.1:9/push' })
  const states: string[] = []
  for (const act of [deliveries.pause, deliveries.pause, deliveries.resume, deliveries.resume]) {
    states.push(...(await act(TOPIC, undefined)).map(({ state }) => state))
  }
  assert.deepEqual(states, ['paused', 'was_paused', 'resumed', 'was_delivered'])
  assert.equal((await pushOf('worker'))?.pushEndpoint, 'http://127.0.0.1:9/push')
})

test('all that push to a worker are paused, or the one that is named; others are let be', async (t) => {
  const { topic, deliveries, nameOf, pushOf } = await newProject(t)
  for (const name of ['high', 'low']) await topic.createSubscription(name, { pushEndpoint: `http://127.0.0.1:9/push` })
  await topic.createSubscription('audit', { pushEndpoint: 'http://127.0.0.1:9/audit' })
  await topic.createSubscription('pulled')
  const subscription = nameOf('low')
  assert.deepEqual(await deliveries.pause(TOPIC, 'low'), [{ subscription, state: 'paused' }])
  assert.deepEqual(
    (await deliveries.pause(TOPIC, undefined)).map(({ subscription, state }) => [subscription, state]).toSorted(),
    [
      [nameOf('high'), 'paused'],
      [nameOf('low'), 'was_paused'],
    ],
  )
  assert.equal((await pushOf('audit'))?.pushEndpoint, 'http://127.0.0.1:9/audit')
  const endpoint = 'http://127.0.0.1:9/push'
  assert.deepEqual(await deliveries.resume(TOPIC, subscription), [{ subscription, state: 'resumed', endpoint }])
  assert.equal((await pushOf('high'))?.pushEndpoint || 'none', 'none')
  assert.deepEqual(await deliveries.pause(TOPIC, 'unknown'), [])
})

test('resume of a subscription without an endpoint that was not paused here prints how to set one', async (t) => {
  const { topic, nameOf, env } = await newProject(t)
  await topic.createSubscription('worker')
  const { code, stderr, stdout } = await runCommand(t, ['resume'], {
    env: { ...env, PUSH_AUDIENCE: 'https://w/push' },
  })
  assert.deepEqual([code, stdout], [1, `${nameOf('worker')}  has no push endpoint\n`])
  assert.match(
    stderr,
    /run: gcloud pubsub subscriptions update projects\/.*--push-endpoint=https:\/\/WORKER\/push .*=EMAIL .*=https:\/\/w\/push$/m,
  )
})

test('the commands say what they did', async (t) => {
  const { topic, nameOf, env } = await newProject(t)
  await topic.createSubscription('worker', { pushEndpoint: 'http://127.0.0.1:9/push' })
  const subscription = nameOf('worker')
  const paused = await runCommand(t, ['pause', '--subscription', 'worker'], { env })
  const stdout = `${subscription}  paused\nRunning jobs continue. To deliver again: promptbridge resume --subscription worker\n`
  assert.deepEqual(paused, { code: 0, stdout, stderr: '' })
  const resumed = await runCommand(t, ['resume', '--json'], { env })
  const endpoint = 'http://127.0.0.1:9/push'
  assert.deepEqual([resumed.code, JSON.parse(resumed.stdout)], [0, [{ subscription, state: 'resumed', endpoint }]])
})

test('resume shows the endpoint that it sets, which somebody may have changed among the records meanwhile', async (t) => {
  const { topic, nameOf, env } = await newProject(t)
  await topic.createSubscription('worker', { pushEndpoint: 'http://127.0.0.1:9/push' })
  await runCommand(t, ['pause'], { env })
  const database = openDatabase({ project: env.GOOGLE_CLOUD_PROJECT, emulator: firestore.address })
  t.after(() => database.close())
  const push = { pushEndpoint: 'http://127.0.0.1:9/of-somebody-else/push' }
  const saved = createFirestoreSavedPushes(database)
  const found = await saved.find(nameOf('worker'))
  assert.ok(found)
  await saved.put({ ...found, push: { ...found.push, ...push } })
  const { code, stdout } = await runCommand(t, ['resume'], { env })
  assert.deepEqual([code, stdout], [0, `${nameOf('worker')}  delivered again to ${push.pushEndpoint}\n`])
})

test('a topic that is not there has nothing to pause', async (t) => {
  const { env } = await newProject(t)
  const { code, stderr } = await runCommand(t, ['pause'], { env: { ...env, JOBS_TOPIC: 'elsewhere' } })
  assert.equal(code, 1)
  assert.match(stderr, /^promptbridge: JOBS_TOPIC has no subscription that pushes to https:\/\/WORKER\/push$/m)
})
