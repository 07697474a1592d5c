import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import type { CreateSubscriptionOptions } from '@google-cloud/pubsub'
import { checkSweep } from '../../../cli/doctor/check-sweep.ts'
import { createPubSub } from '../../../shared/queues/pubsub/pubsub-queue.ts'
import { openDatabase } from '../../../shared/stores/firestore/database.ts'
import { createFirestoreBatches } from '../../../shared/stores/firestore/firestore-batches.ts'
import { examine, failuresIn, marksOf } from '../../support/doctor-run.ts'
import { DATASTORE_MODE, DENIED, NO_INDEX, openFirestoreProxy } from '../../support/firestore-proxy.ts'
import { startCloud } from '../../support/stand-ins.ts'
import { startWarmEmulator } from '../support/emulators.ts'

const cloud = await startCloud()
after(() => cloud.close())

const AUDIENCE = 'https://worker.example.com/push'
const PUSHER = 'push@a-project.iam.gserviceaccount.com'
const settings = {
  PUSH_AUTH: 'verify',
  PUSH_AUDIENCE: AUDIENCE,
  PUSH_SERVICE_ACCOUNT: PUSHER,
  JOBS_TOPIC: 'jobs',
  DEAD_LETTER_TOPIC: 'dead-letter',
}
const LETTERS = 'https://worker.example.com/dead-letter'
const ON_GOOGLE = ['store', 'topic jobs', 'topic dead-letter', 'push subscription', 'dead-letter subscription']
const PARTS = [
  'endpoint',
  'audience',
  'service account',
  'ack deadline',
  'dead-letter policy',
  'retry policy',
  'expiration',
]

const [firestore, pubsub] = await Promise.all([startWarmEmulator('firestore'), startWarmEmulator('pubsub')])
after(() => Promise.all([firestore.close(), pubsub.close()]))

/** A project with both topics, this subscription to the jobs, and one to the dead letters. */
async function newProject(
  subscription?: (project: string) => CreateSubscriptionOptions,
  toLetters: CreateSubscriptionOptions = rightForLetters,
): Promise<string> {
  const project = `p-${randomUUID()}`
  const admin = createPubSub({ project, emulator: pubsub.address })
  const [jobs] = await admin.createTopic('jobs')
  const [letters] = await admin.createTopic('dead-letter')
  await letters.createSubscription('letters', toLetters)
  if (subscription !== undefined) await jobs.createSubscription('worker', subscription(project))
  await admin.close()
  return project
}

const oidcToken = { audience: AUDIENCE, serviceAccountEmail: PUSHER }
const rightForLetters: CreateSubscriptionOptions = {
  pushConfig: { pushEndpoint: LETTERS, oidcToken },
  ackDeadlineSeconds: 600,
  retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 600 } },
  expirationPolicy: {},
}
const right = (project: string): CreateSubscriptionOptions => ({
  ...rightForLetters,
  pushConfig: { pushEndpoint: AUDIENCE, oidcToken },
  deadLetterPolicy: { deadLetterTopic: `projects/${project}/topics/dead-letter`, maxDeliveryAttempts: 100 },
})

/** What the doctor says of Google's stores in a project. */
async function onGoogle(project: string, more = {}) {
  const emulators = { FIRESTORE_EMULATOR_HOST: firestore.address, PUBSUB_EMULATOR_HOST: pubsub.address }
  const steps = await examine(cloud, { ...settings, ...emulators, GOOGLE_CLOUD_PROJECT: project, ...more })
  return steps.slice(5)
}

test('a healthy project has a ✓ at each step', async () => {
  const steps = await onGoogle(await newProject(right))
  const [store, jobs, letters, ...subscriptions] = ON_GOOGLE
  const names = [
    ...[store, jobs, letters],
    ...subscriptions.flatMap((step) => [step, ...PARTS.map((part) => `${step}: ${part}`)]),
  ]
  assert.deepEqual(marksOf(steps), [...names.map((name) => `✓ ${name}`), '– sweep'], JSON.stringify(failuresIn(steps)))
})

describe('the step for the sweep looks at a batch under way', () => {
  const NOW = Date.UTC(2026, 0, 31, 12)
  for (const [what, sweptMinutesAgo, ok, seen] of [
    ['counted 4 minutes ago: the sweep runs', 4, true, 'batch nightly was counted 4 min ago'],
    ['last counted 5 minutes ago: nothing sweeps', 5, false, 'batch nightly was last counted 5 min ago'],
    ['not counted in its 5 minutes: nothing sweeps', undefined, false, 'batch nightly was never counted'],
  ] as const) {
    test(what, async () => {
      const project = await newProject(right)
      const database = openDatabase({ project, emulator: firestore.address })
      const batches = createFirestoreBatches(database)
      await batches.open('nightly', NOW - 5 * 60_000)
      await batches.seal('nightly', 1, NOW - 5 * 60_000)
      if (sweptMinutesAgo !== undefined) {
        const sweptAt = NOW - sweptMinutesAgo * 60_000
        await batches.note('nightly', { counts: {}, tokens: { promptTokens: 0, completionTokens: 0 }, sweptAt })
      }
      await database.close()
      const pushAuth = { mode: 'verify', audience: AUDIENCE, serviceAccount: PUSHER } as const
      const step = await checkSweep({ project }, pushAuth, { now: () => NOW, emulator: firestore.address })
      assert.deepEqual([step.ok, step.seen], [ok, seen])
      const fix = step.ok === false ? step.fix : ''
      assert.equal(ok, fix === '')
      if (!ok) assert.match(fix, /^gcloud scheduler jobs create http .*--uri=https:\/\/WORKER\/sweep /)
    })
  }

  test('could not be counted a minute ago: the sweep runs', async () => {
    const project = await newProject(right)
    const database = openDatabase({ project, emulator: firestore.address })
    const batches = createFirestoreBatches(database)
    await batches.open('nightly', NOW - 60 * 60_000)
    await batches.seal('nightly', 1, NOW - 60 * 60_000)
    await batches.defer('nightly', NOW - 60_000)
    await database.close()
    const found = await checkSweep({ project }, undefined, { now: () => NOW, emulator: firestore.address })
    assert.deepEqual([found.ok, found.seen], [true, 'batch nightly could not be counted 1 min ago'])
  })
})

test('looking at Firestore leaves nothing behind', async () => {
  const project = await newProject()
  await onGoogle(project)
  const database = openDatabase({ project, emulator: firestore.address })
  assert.equal(await database.count('promptJobs', {}), 0)
  await database.close()
})

test('of a Firestore that lacks an index, the doctor prints which and the command that makes it', async () => {
  const project = await newProject(right)
  const lacks = (request: Buffer) =>
    request.includes('toSweep') || (request.includes('usage.') && !request.includes('day'))
  await using proxy = await openFirestoreProxy(firestore.address, (_, request) =>
    lacks(request) ? NO_INDEX : undefined,
  )
  const [failed, ...others] = failuresIn(await onGoogle(project, { FIRESTORE_EMULATOR_HOST: proxy.address }))
  assert.deepEqual([failed?.step, others], ['store', []])
  assert.match(
    failed?.seen ?? '',
    /lacks an index of promptJobs \(batch, usage\.completionTokens, usage\.promptTokens\) and of promptBatches \(toSweep\)$/,
  )
  const [composite, single, ...more] = failed?.fix?.split('\n') ?? []
  const fields = ['batch', 'usage.completionTokens', 'usage.promptTokens']
    .map((field) => `--field-config=order=ascending,field-path=${field}`)
    .join(' ')
  const of = (collection: string) => `--project=${project} --collection-group=${collection}`
  assert.equal(composite, `gcloud firestore indexes composite create ${of('promptJobs')} ${fields}`)
  assert.equal(single, `gcloud firestore indexes fields update toSweep ${of('promptBatches')} --clear-exemption`)
  assert.match(more.join(), /takes minutes.*deploy\/firestore\.indexes\.json/)
})

test('where this login may only read, the doctor says so and fails no step', async () => {
  const project = await newProject(right)
  const judge = (method: string) => (method === 'BatchWrite' ? DENIED : undefined)
  await using proxy = await openFirestoreProxy(firestore.address, judge)
  const emulators = { FIRESTORE_EMULATOR_HOST: proxy.address, PUBSUB_EMULATOR_HOST: pubsub.address }
  const TOKEN_SOURCE = 'impersonate:worker@a-project.iam.gserviceaccount.com'
  const steps = await examine(cloud, { ...settings, ...emulators, GOOGLE_CLOUD_PROJECT: project, TOKEN_SOURCE })
  const store = steps.find(({ step }) => step === 'store')
  assert.equal(store?.ok, null)
  assert.match(store?.seen ?? '', /can be read\. This login may not write/)
})

test('of a Firestore that answers no query, the doctor prints the status', async () => {
  const project = await newProject(right)
  const judge = (method: string) => (method === 'RunQuery' ? DATASTORE_MODE : undefined)
  await using proxy = await openFirestoreProxy(firestore.address, judge)
  const [failed] = failuresIn(await onGoogle(project, { FIRESTORE_EMULATOR_HOST: proxy.address }))
  assert.match(failed?.seen ?? '', /FAILED_PRECONDITION to a query$/)
})

describe('of a wrong subscription, the doctor prints the command that fixes it', () => {
  const line = 'gcloud pubsub subscriptions update worker --project=PROJECT'
  const push = `--push-endpoint=${AUDIENCE} --push-auth-service-account=${PUSHER} --push-auth-token-audience=${AUDIENCE}`
  const pushAs = (over: object) => ({
    pushConfig: { pushEndpoint: AUDIENCE, oidcToken: { audience: AUDIENCE, serviceAccountEmail: PUSHER, ...over } },
  })
  const cases: readonly (readonly [string, string, (project: string) => CreateSubscriptionOptions, string, string])[] =
    [
      ['the audience', 'audience', () => pushAs({ audience: 'https://else' }), 'https://else', push],
      [
        'the service account',
        'service account',
        () => pushAs({ serviceAccountEmail: 'other@p.iam.gserviceaccount.com' }),
        'other@p.iam.gserviceaccount.com',
        push,
      ],
      ['no identity', 'service account', () => ({ pushConfig: { pushEndpoint: AUDIENCE } }), 'none', push],
      ['the deadline', 'ack deadline', () => ({ ackDeadlineSeconds: 10 }), '10 s', '--ack-deadline=600'],
      [
        'the dead-letter topic',
        'dead-letter policy',
        (project) => ({
          deadLetterPolicy: { deadLetterTopic: `projects/${project}/topics/jobs`, maxDeliveryAttempts: 100 },
        }),
        'projects/PROJECT/topics/jobs after 100 attempts',
        '--dead-letter-topic=projects/PROJECT/topics/dead-letter --max-delivery-attempts=100',
      ],
      [
        'too few attempts',
        'dead-letter policy',
        (project) => ({
          deadLetterPolicy: { deadLetterTopic: `projects/${project}/topics/dead-letter`, maxDeliveryAttempts: 5 },
        }),
        'projects/PROJECT/topics/dead-letter after 5 attempts',
        '--dead-letter-topic=projects/PROJECT/topics/dead-letter --max-delivery-attempts=100',
      ],
      [
        'the retry policy',
        'retry policy',
        () => ({ retryPolicy: { minimumBackoff: { seconds: 1 }, maximumBackoff: { seconds: 600 } } }),
        '1 to 600 s',
        '--min-retry-delay=10s --max-retry-delay=600s',
      ],
      [
        'an expiration',
        'expiration',
        () => ({ expirationPolicy: { ttl: { seconds: 31 * 86_400 } } }),
        'after 31 idle days',
        '--expiration-period=never',
      ],
    ]
  for (const [what, part, over, seen, flags] of cases) {
    test(what, async () => {
      const project = await newProject((name) => ({ ...right(name), ...over(name) }))
      const failed = failuresIn(await onGoogle(project)).find(({ step }) => step.endsWith(`: ${part}`))
      assert.equal(failed?.seen, seen.replaceAll('PROJECT', project))
      assert.equal(failed?.fix, `${line} ${flags}`.replaceAll('PROJECT', project))
    })
  }
})

test('of topics and a subscription that do not exist, the doctor prints the commands that make them', async () => {
  const project = `p-${randomUUID()}`
  const failed = failuresIn(await onGoogle(project))
  assert.deepEqual(
    failed.map(({ step, seen }) => [step, seen]),
    [
      ['topic jobs', 'NOT_FOUND'],
      ['topic dead-letter', 'NOT_FOUND'],
      ['push subscription', 'the topic has no subscription'],
      ['dead-letter subscription', 'the topic has no subscription'],
    ],
  )
  assert.equal(failed[0]?.fix, `gcloud pubsub topics create jobs --project=${project}`)
  assert.match(failed[2]?.fix ?? '', /^gcloud pubsub subscriptions create jobs-worker .* --expiration-period=never$/)
  const letters = failed[3]?.fix ?? ''
  assert.match(letters, /^gcloud pubsub subscriptions create dead-letter-worker .*=https:\/\/WORKER\/dead-letter /)
  assert.doesNotMatch(letters, /--dead-letter-topic/)
})

test('of a dead-letter policy on dead letters, the doctor prints the command that removes it', async () => {
  const policy = (project: string) => ({ deadLetterTopic: `projects/${project}/topics/jobs`, maxDeliveryAttempts: 5 })
  const project = await newProject(right)
  const admin = createPubSub({ project, emulator: pubsub.address })
  await admin.subscription('letters').setMetadata({ deadLetterPolicy: policy(project) })
  await admin.close()
  const [failed, ...others] = failuresIn(await onGoogle(project))
  assert.deepEqual([failed?.step, others], ['dead-letter subscription: dead-letter policy', []])
  assert.match(failed?.fix ?? '', /^gcloud pubsub subscriptions update letters .* --clear-dead-letter-policy$/)
})

test('an events topic that is wanted is looked at, too', async () => {
  const [failed, ...others] = failuresIn(await onGoogle(await newProject(right), { EVENTS_TOPIC: 'events' }))
  assert.deepEqual([failed?.step, failed?.seen, others], ['topic events', 'NOT_FOUND', []])
})

test('a topic that is only pulled from has no push subscription', async () => {
  const failed = failuresIn(await onGoogle(await newProject(() => ({}))))
  assert.equal(failed[0]?.step, 'push subscription')
  assert.match(failed[0]?.seen ?? '', /^only others: .*\/subscriptions\/worker \(pull\)$/)
  assert.match(
    failed[0]?.fix ?? '',
    /^If delivery was paused: .* resume\nOtherwise: gcloud pubsub subscriptions create/,
  )
})

test('while Google cannot be reached each of its steps fails, and the other steps run', async () => {
  const nowhere = { FIRESTORE_EMULATOR_HOST: '127.0.0.1:9', PUBSUB_EMULATOR_HOST: '127.0.0.1:9' }
  const steps = await examine(cloud, { ...settings, ...nowhere, GOOGLE_CLOUD_PROJECT: 'p' })
  assert.deepEqual(
    failuresIn(steps).map(({ step }) => step),
    ON_GOOGLE,
  )
})
