import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { checkGrants, forwardingGrants, invokerGrant } from '../../cli/doctor/check-grants.ts'
import { createPolicyReader } from '../../cli/doctor/read-policy.ts'
import { startChecks } from '../../cli/doctor/step.ts'
import { startGooglePolicies } from '../../local/google-policies.ts'
import { callsOf, placeFault, startCloud } from '../support/stand-ins.ts'

// The metadata server of this cloud names the caller.
const cloud = await startCloud()
after(() => cloud.close())

const AGENT = 'serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com'
const PUSHER = 'push@p.iam.gserviceaccount.com'
const TOPIC = 'projects/p/topics/dead-letter'
const JOBS = 'projects/p/subscriptions/jobs-worker'
const SERVICE = 'projects/p/locations/europe-west1/services/worker'
const PROJECT = 'projects/p'

const grants = [
  ...forwardingGrants('p', 'dead-letter', [JOBS]),
  invokerGrant({ project: 'p', region: 'europe-west1', name: 'worker' }, PUSHER),
]

type Policies = Parameters<typeof startGooglePolicies>[0]['policies']
const right: Policies = {
  [TOPIC]: { 'roles/pubsub.publisher': [AGENT] },
  [JOBS]: { 'roles/pubsub.subscriber': [AGENT] },
  [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] },
  [PROJECT]: {},
}

/** What the doctor says of the three grants. */
async function check(policies: Policies) {
  const google = await startGooglePolicies({ policies })
  try {
    const checks = startChecks(() => undefined)
    await checkGrants(checks, grants, createPolicyReader(google.url))
    const calls = await callsOf(google, 'getIamPolicy')
    return { steps: checks.steps, asked: calls.map(({ detail }) => detail?.['name']) }
  } finally {
    await google.close()
  }
}

test('complete grants are found on the resources themselves, and the project is not read', async () => {
  const { steps, asked } = await check(right)
  assert.deepEqual(
    steps.map(({ step, ok }) => [step, ok]),
    [
      ['grant: Pub/Sub may publish to dead-letter', true],
      ['grant: Pub/Sub may acknowledge on jobs-worker', true],
      ['grant: pushes may call the service', true],
    ],
  )
  assert.deepEqual(asked, [TOPIC, JOBS, SERVICE])
})

describe('doctor: a missing grant is reported with the command that adds it', () => {
  const number = "$(gcloud projects describe p --format='value(projectNumber)')"
  const agent = `--member="serviceAccount:service-${number}@gcp-sa-pubsub.iam.gserviceaccount.com"`
  for (const [nth, name, line] of [
    [
      0,
      TOPIC,
      `gcloud pubsub topics add-iam-policy-binding dead-letter --project=p ${agent} --role=roles/pubsub.publisher`,
    ],
    [
      1,
      JOBS,
      `gcloud pubsub subscriptions add-iam-policy-binding jobs-worker --project=p ${agent} --role=roles/pubsub.subscriber`,
    ],
    [
      2,
      SERVICE,
      `gcloud run services add-iam-policy-binding worker --project=p --region=europe-west1 --member=serviceAccount:${PUSHER} --role=roles/run.invoker`,
    ],
  ] as const) {
    test(name, async () => {
      const { steps } = await check({ ...right, [name]: {} })
      assert.deepEqual(
        steps.map(({ ok }) => ok),
        [0, 1, 2].map((n) => n !== nth),
      )
      assert.equal(steps[nth]?.fix, line)
    })
  }
})

test('a role without the permission, and a role of another member, are no grant', async () => {
  const { steps } = await check({
    ...right,
    [TOPIC]: { 'roles/pubsub.viewer': [AGENT], 'roles/pubsub.publisher': [`serviceAccount:${PUSHER}`] },
  })
  assert.equal(steps[0]?.ok, false)
})

test('what the project grants is granted', async () => {
  const { steps } = await check({ ...right, [TOPIC]: {}, [PROJECT]: { 'roles/pubsub.editor': [AGENT] } })
  assert.deepEqual([steps[0]?.ok, steps[0]?.seen], [true, "Pub/Sub's service agent has it on the project"])
})

test('grants that this login may not read are not judged, and the fix is shown', async () => {
  const closed = await check({ [JOBS]: {} })
  assert.deepEqual(
    closed.steps.map(({ ok }) => ok),
    [null, null, null],
  )
  assert.match(closed.steps[0]?.seen ?? '', /cannot read the grants of projects\/p\/topics\/dead-letter/)
  assert.match(
    closed.steps[1]?.seen ?? '',
    /not on projects\/p\/subscriptions\/jobs-worker itself.* If the project does not have it either: gcloud/,
  )
})

test('grants are not judged while Google is unavailable', async () => {
  const google = await startGooglePolicies({ policies: right })
  await placeFault(google, { kind: 'status', error: 'unavailable' })
  const checks = startChecks(() => undefined)
  await checkGrants(checks, grants.slice(0, 1), createPolicyReader(google.url))
  await google.close()
  assert.equal(checks.steps[0]?.ok, null)
})
