import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describeStatus, fixStatus } from '../../cli/doctor/google-answers.ts'
import { createLine, judgeSubscription } from '../../cli/doctor/judge-subscription.ts'
import { checkAccess } from '../../shared/stores/firestore/check-access.ts'
import { StoreError } from '../../shared/stores/job-store.ts'

const worker = { project: 'p', account: 'w@p.iam.gserviceaccount.com', isWorker: true }
const fixes = { role: 'roles/datastore.user', notFound: 'make it' }
const fix = (status: unknown, asker = worker) => fixStatus(status, 'firestore.googleapis.com', asker, fixes)
const GRANT =
  'gcloud projects add-iam-policy-binding p --member=serviceAccount:w@p.iam.gserviceaccount.com --role=roles/datastore.user'

describe("the fix of Google's answers", () => {
  test('to one who is denied is the role, or the service that is not enabled', () => {
    assert.deepEqual(fix(7).split('\n'), [
      GRANT,
      'If the service is not enabled: gcloud services enable firestore.googleapis.com --project=p',
    ])
  })

  test('to one who is denied is the role with what limits it, where something does', () => {
    const condition = 'expression=resource.name=="projects/p/databases/d",title=records'
    const [first = ''] = fixStatus(7, 'firestore.googleapis.com', worker, { ...fixes, condition }).split('\n')
    assert.equal(first, `${GRANT} --condition='${condition}'`)
  })

  test('to a developer who is denied says whose role it is', () => {
    const [first = ''] = fix(7, { ...worker, isWorker: false }).split('\n')
    assert.ok(first.startsWith('This check used your own login') && first.endsWith(GRANT), first)
  })

  test('where something is missing makes it', () => {
    assert.equal(fix(5), 'make it')
  })

  test('to one who is not known is a login', () => {
    assert.match(fix(16), /gcloud auth application-default login/)
  })

  test('where nothing answered is the way there', () => {
    for (const status of [undefined, 4, 14]) assert.match(fix(status), /check the network connection/)
    assert.deepEqual([describeStatus(14), describeStatus(undefined)], ['UNAVAILABLE', 'no answer'])
  })
})

const denied = (code: number) => Object.assign(new Error('denied'), { code })

describe('access to a database', () => {
  const database = {
    root: 'projects/p/databases/(default)/documents',
    get: async () => ({}),
    batchWrite: async () => [{ kind: 'refused' as const }],
    newest: async () => undefined,
    since: async () => [],
    async *walk() {
      yield* []
    },
    range: async () => [],
    sum: async () => [],
    count: async () => 0,
    sumAndCount: async () => ({ sums: [], count: 0 }),
    close: async () => undefined,
  }

  test('is granted where the answer is that the document does not exist', async () => {
    assert.deepEqual(await checkAccess(database), { kind: 'granted' })
  })

  test('that lacks the right to read is reported, and is not written to', async () => {
    const get = () => Promise.reject(new StoreError('unavailable', 'no', denied(7)))
    const batchWrite = () => Promise.reject(new Error('was written to'))
    assert.deepEqual(await checkAccess({ ...database, get, batchWrite }), { kind: 'read', status: 7 })
  })

  test('that lacks the right to write is reported, whether the call or the write says it', async () => {
    const whole = () => Promise.reject(denied(7))
    assert.deepEqual(await checkAccess({ ...database, batchWrite: whole }), { kind: 'write', status: 7 })
    const one = async () => [{ kind: 'unavailable' as const, cause: denied(7) }]
    assert.deepEqual(await checkAccess({ ...database, batchWrite: one }), { kind: 'write', status: 7 })
  })
})

describe('a push subscription', () => {
  const wanted = {
    path: '/push' as const,
    project: 'p',
    push: undefined,
    ackDeadlineSeconds: 60,
    deadLetterTopic: 'dl',
  }
  const live = { name: 'projects/p/subscriptions/s', pushConfig: { pushEndpoint: 'https://w.example.com/push' } }

  test('whose pushes are not checked may come from anybody', () => {
    assert.equal(judgeSubscription(live, wanted).get('identity')?.ok, null)
  })

  test('with nothing set has what Pub/Sub does then', () => {
    const found = [...judgeSubscription(live, wanted)].flatMap(([part, { ok, seen }]) =>
      ok === false ? [[part, seen]] : [],
    )
    assert.deepEqual(found, [
      ['ack deadline', '10 s'],
      ['dead-letter policy', 'none'],
      ['retry policy', 'none: redelivers at once'],
      ['expiration', 'after 31 idle days'],
    ])
  })

  test('without an audience of its own has the endpoint for one', () => {
    const push = { audience: 'https://w.example.com/push', serviceAccount: 'a@b' }
    const pushConfig = { ...live.pushConfig, oidcToken: { serviceAccountEmail: 'a@b' } }
    assert.equal(judgeSubscription({ ...live, pushConfig }, { ...wanted, push }).get('audience')?.ok, true)
  })

  test('is made by a line in which strange values are quoted', () => {
    const push = { audience: "a'b", serviceAccount: 'a@b' }
    assert.match(createLine('jobs', { ...wanted, push }), / --push-auth-token-audience='a'\\''b' /)
  })
})
