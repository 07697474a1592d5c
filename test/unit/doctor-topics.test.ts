import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkGrant, type Grant } from '../../cli/doctor/check-grants.ts'
import { checkTopic } from '../../cli/doctor/check-topics.ts'
import type { Asker } from '../../cli/doctor/google-answers.ts'

const worker = { project: 'p', account: 'w@p.iam.gserviceaccount.com', isWorker: true }

const unasked = () => Promise.reject(new Error('no grant is looked at'))
const check = (answer: () => Promise<boolean | undefined>, asker: Asker = worker) =>
  checkTopic('jobs', answer, asker, unasked)
const status = (code: number) => () => Promise.reject(Object.assign(new Error('no'), { code }))

test('a topic that may be published to is right', async () => {
  const found = await check(async () => true)
  assert.deepEqual([found.ok, found.seen], [true, 'it exists, and publishing to it is allowed'])
})

test('a topic that may not be published to fails with the role on it, and whose', async () => {
  const line =
    'gcloud pubsub topics add-iam-policy-binding jobs --project=p --member=serviceAccount:w@p.iam.gserviceaccount.com --role=roles/pubsub.publisher'
  const denied = async () => false
  const mine = await check(denied)
  assert.equal(mine.ok === false && mine.fix, line)
  const withoutAccount = await check(denied, { ...worker, account: undefined, isWorker: false })
  assert.ok(withoutAccount.ok === false && withoutAccount.fix.includes('The worker needs: gcloud pubsub topics'))
})

const developer: Asker = { ...worker, isWorker: false }
const TOPIC = 'projects/p/topics/jobs'
const onTopic = (members: readonly string[]) => async (resource: { readonly name: string }) =>
  resource.name === TOPIC ? [{ role: 'roles/pubsub.publisher', members }] : []

for (const [what, policy, ok, seen] of [
  [
    'has the grant: it is right',
    onTopic([`serviceAccount:${worker.account}`]),
    true,
    `${worker.account} has it on ${TOPIC}`,
  ],
  [
    'has no grant: the worker lacks it',
    onTopic(['serviceAccount:else@p.iam.gserviceaccount.com']),
    false,
    'not granted',
  ],
  [
    'may have one that this login cannot see: it is not judged',
    async () => undefined,
    null,
    `this login cannot read the grants of ${TOPIC}; ${worker.account} needs roles/pubsub.publisher there`,
  ],
] as const) {
  test(`a topic to which an operator may not publish is judged by the worker, which ${what}`, async () => {
    const look = (grant: Grant) => checkGrant(grant, policy, new AbortController().signal)
    const found = await checkTopic('jobs', async () => false, developer, look)
    assert.deepEqual([found.ok, found.seen], [ok, seen])
  })
}

test('a topic that does not exist fails with the command that creates it', async () => {
  const found = await check(status(5))
  assert.equal(found.ok === false && found.fix, 'gcloud pubsub topics create jobs --project=p')
})
