import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { checkInvokers } from '../../cli/doctor/check-invokers.ts'
import { onPolicies, type Policies, PROJECT, PUSHER, SERVICE, service } from '../support/doctor-policies.ts'
import { startCloud } from '../support/stand-ins.ts'

// The metadata server of this cloud gives the login that asks.
const cloud = await startCloud()
after(() => cloud.close())

const ON_SERVICE = 'gcloud run services remove-iam-policy-binding worker --project=p --region=europe-west1'
const ON_PROJECT = 'gcloud projects remove-iam-policy-binding p'
const right: Policies = { [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] }, [PROJECT]: {} }
const withInvoker = (member: string): Policies => ({
  ...right,
  [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`, member] },
})

/** What the doctor says of who may call the service. */
async function check(
  policies: Policies,
  how: { mode?: 'cloud-run-iam' | 'verify'; invokerCheckDisabled?: boolean } = {},
) {
  const { mode = 'cloud-run-iam', invokerCheckDisabled = false } = how
  const access = { service, pushAuth: { mode, audience: 'a', serviceAccount: PUSHER }, invokerCheckDisabled }
  const { steps } = await onPolicies(policies, (checks, policy) =>
    checks.run('callers', (signal) => checkInvokers(access, policy, signal)),
  )
  const [step] = steps
  assert.ok(step)
  return step
}

test('doctor: a service that only the pushing account may call passes, and what was not checked is reported', async () => {
  const { ok, seen, fix } = await check(right)
  assert.deepEqual([ok, fix], [true, null])
  assert.equal(seen, 'only the account that pushes; grants of folders and of the organization were not checked')
})

describe('doctor: everyone may call the service', () => {
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
      assert.equal(fix, `${ON_PROJECT} --member=${member} --role=roles/run.invoker`)
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

describe('doctor: another account may call the service: a warning, with the line that takes it away', () => {
  const OTHER = 'serviceAccount:other@p.iam.gserviceaccount.com'
  for (const [what, on, role, line] of [
    ['as an invoker', SERVICE, 'roles/run.invoker', '--role=roles/run.invoker'],
    ['by a custom role', SERVICE, 'projects/p/roles/caller', '--role=projects/p/roles/caller'],
    ['as an editor of the project', PROJECT, 'roles/editor', '--role=roles/editor'],
    ['under a condition', PROJECT, 'roles/run.invoker_withcond_0a1b2c3d4e5f60718293', '--role=roles/run.invoker --all'],
  ] as const) {
    test(what, async () => {
      const { ok, seen, fix } = await check({ ...right, [on]: { ...right[on], [role]: [OTHER] } })
      const command = on === SERVICE ? ON_SERVICE : ON_PROJECT
      assert.deepEqual([ok, fix], [null, `${command} --member=${OTHER} ${line}`])
      assert.ok(seen.startsWith(`${OTHER} (${role} on ${on});`), seen)
    })
  }
})

test('doctor: roles that call nothing, owners and deleted accounts are no callers', async () => {
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

test('doctor: callers are not judged where this login cannot read grants', async () => {
  const closed = await check({ [PROJECT]: {} })
  assert.equal(closed.ok, null)
  assert.equal(closed.fix, null)
  assert.match(closed.seen, /^this login cannot read the grants of projects\/p\/locations/)
  const half = await check({ [SERVICE]: { 'roles/run.invoker': [`serviceAccount:${PUSHER}`] } })
  assert.equal(half.ok, true)
  assert.match(half.seen, /; this login cannot read the grants of projects\/p; grants of folders/)
})
