import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { checkInvokers } from '../../cli/doctor/check-invokers.ts'
import { createPolicyReader } from '../../cli/doctor/read-policy.ts'
import { startChecks } from '../../cli/doctor/step.ts'
import { startGooglePolicies } from '../../local/google-policies.ts'
import { startCloud } from '../support/stand-ins.ts'

// The metadata server of this cloud gives the login that asks.
const cloud = await startCloud()
after(() => cloud.close())

const PUSHER = 'push@p.iam.gserviceaccount.com'
const service = { project: 'p', region: 'europe-west1', name: 'worker' }
const SERVICE = 'projects/p/locations/europe-west1/services/worker'
const PROJECT = 'projects/p'
const ON_SERVICE = 'gcloud run services remove-iam-policy-binding worker --project=p --region=europe-west1'

type Policies = Parameters<typeof startGooglePolicies>[0]['policies']
const right: Policies = { [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] }, [PROJECT]: {} }
const withInvoker = (member: string): Policies => ({
  ...right,
  [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`, member] },
})

/** What the doctor says of who may call the service. */
async function check(
  policies: Policies,
  {
    mode = 'cloud-run-iam',
    invokerCheckDisabled = false,
  }: { mode?: 'cloud-run-iam' | 'verify'; invokerCheckDisabled?: boolean } = {},
) {
  const google = await startGooglePolicies({ policies })
  const checks = startChecks(() => undefined)
  const access = { service, pushAuth: { mode, audience: 'a', serviceAccount: PUSHER }, invokerCheckDisabled }
  await checks.run('callers', (signal) => checkInvokers(access, createPolicyReader(google.url), signal))
  await google.close()
  const [step] = checks.steps
  assert.ok(step)
  return step
}

test('a service that only the pushing account may call passes, and what was not checked is reported', async () => {
  const { ok, seen, fix } = await check(right)
  assert.deepEqual([ok, fix], [true, null])
  assert.equal(seen, 'only the account that pushes; grants of folders and of the organization were not checked')
})

describe('everyone may call the service', () => {
  for (const member of ['allUsers', 'allAuthenticatedUsers']) {
    test(`by ${member} on the service: the step fails, with the line that removes it`, async () => {
      const { ok, seen, expected, fix } = await check(withInvoker(member))
      assert.deepEqual([ok, expected], [false, `only ${PUSHER}`])
      assert.ok(seen.startsWith(`${member} (roles/run.invoker on ${SERVICE});`), seen)
      assert.equal(fix, `${ON_SERVICE} --member=${member} --role=roles/run.invoker`)
    })

    test(`by ${member} on the project, which the service inherits: the step fails`, async () => {
      const { ok, fix } = await check({ ...right, [PROJECT]: { 'roles/run.invoker': [member] } })
      assert.equal(ok, false)
      assert.equal(fix, `gcloud projects remove-iam-policy-binding p --member=${member} --role=roles/run.invoker`)
    })
  }

  test('by a check that is switched off: the step fails, although the policies are as they should be', async () => {
    const { ok, seen, fix } = await check(right, { invokerCheckDisabled: true })
    assert.equal(ok, false)
    assert.match(seen, /^everyone: the check of callers \(Invoker IAM check\) is switched off;/)
    assert.equal(fix, 'gcloud run services update worker --project=p --region=europe-west1 --invoker-iam-check')
  })

  test('by a check that is switched off, also where this login may look at no grants', async () => {
    const { ok, seen } = await check({}, { invokerCheckDisabled: true })
    assert.equal(ok, false)
    assert.match(seen, /cannot read the grants of projects\/p\/locations.* and projects\/p;/)
  })

  test('is a warning where the worker itself checks signatures', async () => {
    for (const open of [
      check(withInvoker('allUsers'), { mode: 'verify' }),
      check(right, { mode: 'verify', invokerCheckDisabled: true }),
    ]) {
      const { ok, fix } = await open
      assert.equal(ok, null)
      assert.ok(fix)
    }
  })
})

describe('another account may call the service: a warning, with the line that takes it away', () => {
  const OTHER = 'serviceAccount:other@p.iam.gserviceaccount.com'
  for (const [what, on, role, line] of [
    ['as an invoker', SERVICE, 'roles/run.invoker', `${ON_SERVICE} --member=${OTHER} --role=roles/run.invoker`],
    [
      'by a custom role',
      SERVICE,
      'projects/p/roles/caller',
      `${ON_SERVICE} --member=${OTHER} --role=projects/p/roles/caller`,
    ],
    [
      'as an editor of the project',
      PROJECT,
      'roles/editor',
      `gcloud projects remove-iam-policy-binding p --member=${OTHER} --role=roles/editor`,
    ],
    [
      'under a condition',
      PROJECT,
      'roles/run.invoker_withcond_0a1b2c3d4e5f60718293',
      `gcloud projects remove-iam-policy-binding p --member=${OTHER} --role=roles/run.invoker --all`,
    ],
  ] as const) {
    test(what, async () => {
      const { ok, seen, fix } = await check({ ...right, [on]: { ...right[on], [role]: [OTHER] } })
      assert.deepEqual([ok, fix], [null, line])
      assert.ok(seen.startsWith(`${OTHER} (${role} on ${on});`), seen)
    })
  }
})

test('roles that call nothing, owners and deleted accounts are no callers', async () => {
  const { ok } = await check({
    [SERVICE]: {
      ...right[SERVICE],
      'roles/run.viewer': ['user:a@example.com'],
      'roles/run.invoker_withcond_00': ['deleted:serviceAccount:x@p.iam.gserviceaccount.com?uid=1'],
    },
    [PROJECT]: {
      'roles/owner': ['user:a@example.com'],
      'projects/p/roles/doctor': ['user:a@example.com'],
      'roles/run.developer': ['user:a@example.com'],
    },
  })
  assert.equal(ok, true)
})

test('grants that this login cannot read are not judged', async () => {
  const closed = await check({ [PROJECT]: {} })
  assert.equal(closed.ok, null)
  assert.equal(closed.fix, null)
  assert.match(closed.seen, /^this login cannot read the grants of projects\/p\/locations/)
  const half = await check({ [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] } })
  assert.equal(half.ok, true)
  assert.match(half.seen, /; this login cannot read the grants of projects\/p; grants of folders/)
})
