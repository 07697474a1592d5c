import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { checkGrants, forwardingGrants, invokerGrant } from '../../cli/doctor/check-grants.ts'
import { onPolicies, type Policies, PROJECT, PUSHER, SERVICE, service } from '../support/doctor-policies.ts'
import { marksOf } from '../support/doctor-run.ts'
import { startCloud } from '../support/stand-ins.ts'

// The metadata server of this cloud names the caller.
const cloud = await startCloud()
after(() => cloud.close())

const AGENT = 'serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com'
const TOPIC = 'projects/p/topics/dead-letter'
const JOBS = 'projects/p/subscriptions/jobs-worker'
const grants = [...forwardingGrants('p', 'dead-letter', [JOBS]), invokerGrant(service, PUSHER)]
const right: Policies = {
  [TOPIC]: { 'roles/pubsub.publisher': [AGENT] },
  [JOBS]: { 'roles/pubsub.subscriber': [AGENT] },
  [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] },
  [PROJECT]: {},
}

/** What the doctor says of the three grants. */
const check = (policies: Policies, how?: { unavailable: boolean }) =>
  onPolicies(policies, (checks, policy) => checkGrants(checks, grants, policy), how)

test('doctor: complete grants are found on the resources themselves, and the project is not read', async () => {
  const { steps, asked } = await check(right)
  assert.deepEqual(marksOf(steps), [
    '✓ grant: Pub/Sub may publish to dead-letter',
    '✓ grant: Pub/Sub may acknowledge on jobs-worker',
    '✓ grant: pushes may call the service',
  ])
  assert.deepEqual(asked, [TOPIC, JOBS, SERVICE])
})

describe('doctor: a missing grant is reported with the command that adds it', () => {
  const number = "$(gcloud projects describe p --format='value(projectNumber)')"
  const agent = `--member="serviceAccount:service-${number}@gcp-sa-pubsub.iam.gserviceaccount.com"`
  const pusher = `--member=serviceAccount:${PUSHER} --role=roles/run.invoker`
  for (const [nth, name, kind, rest] of [
    [0, TOPIC, 'pubsub topics', `dead-letter --project=p ${agent} --role=roles/pubsub.publisher`],
    [1, JOBS, 'pubsub subscriptions', `jobs-worker --project=p ${agent} --role=roles/pubsub.subscriber`],
    [2, SERVICE, 'run services', `worker --project=p --region=europe-west1 ${pusher}`],
  ] as const) {
    test(name, async () => {
      const { steps } = await check({ ...right, [name]: {} })
      assert.deepEqual(
        steps.map(({ ok }) => ok),
        [0, 1, 2].map((n) => n !== nth),
      )
      assert.equal(steps[nth]?.fix, `gcloud ${kind} add-iam-policy-binding ${rest}`)
    })
  }
})

test('doctor: a role without the permission, and a role of another member, are no grant', async () => {
  const { steps } = await check({
    ...right,
    [TOPIC]: { 'roles/pubsub.viewer': [AGENT], 'roles/pubsub.publisher': [`serviceAccount:${PUSHER}`] },
  })
  assert.equal(steps[0]?.ok, false)
})

test('doctor: what the project grants is granted', async () => {
  const { steps } = await check({ ...right, [TOPIC]: {}, [PROJECT]: { 'roles/pubsub.editor': [AGENT] } })
  assert.deepEqual([steps[0]?.ok, steps[0]?.seen], [true, "Pub/Sub's service agent has it on the project"])
})

test('doctor: grants that this login may not read are not judged, and the fix is shown', async () => {
  const closed = await check({ [JOBS]: {} })
  const verdicts = closed.steps.map(({ ok }) => ok)
  assert.deepEqual(verdicts, [null, null, null])
  assert.match(closed.steps[0]?.seen ?? '', /cannot read the grants of projects\/p\/topics\/dead-letter/)
  assert.match(
    closed.steps[1]?.seen ?? '',
    /not on projects\/p\/subscriptions\/jobs-worker itself.* If the project does not have it either: gcloud/,
  )
})

test('doctor: grants are not judged while Google is unavailable', async () => {
  const { steps } = await check(right, { unavailable: true })
  assert.ok(steps.every(({ ok }) => ok === null))
})
