import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkTopic } from '../../cli/doctor/check-topics.ts'

const worker = { project: 'p', account: 'w@p.iam.gserviceaccount.com', isWorker: true }

const check = (answer: () => Promise<boolean | undefined>, asker = worker) => checkTopic('jobs', answer, asker)
const status = (code: number) => () => Promise.reject(Object.assign(new Error('no'), { code }))

test('a topic that may be published to is right', async () => {
  const found = await check(async () => true)
  assert.deepEqual([found.ok, found.seen], [true, 'it is there, and may be published to'])
})

test('one that may not be is told the role on it, and whose', async () => {
  const line =
    'gcloud pubsub topics add-iam-policy-binding jobs --project=p --member=serviceAccount:w@p.iam.gserviceaccount.com --role=roles/pubsub.publisher'
  const denied = async () => false
  const mine = await check(denied)
  assert.equal(mine.ok === false && mine.mend, line)
  const developers = await check(denied, { ...worker, isWorker: false })
  assert.ok(developers.ok === false && developers.mend.endsWith(`The worker needs: ${line}`))
})

test('one that is not there is told how it is made', async () => {
  const found = await check(status(5))
  assert.equal(found.ok === false && found.mend, 'gcloud pubsub topics create jobs --project=p')
})
