import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { forwardingGrants, invokerGrant } from '../../../cli/doctor/check-grants.ts'
import type { Resource } from './read-plan.ts'
import {
  callersPolicy,
  computed,
  find,
  googleVariables,
  INVOKER,
  type Made,
  make,
  PROJECT,
  PUBSUB_AGENT,
  setUpFolder,
  tryPlan,
  WORKER,
} from './set-up.ts'
import { openConfiguration } from './terraform.ts'

const SUBMITTER = 'serviceAccount:pipeline@example.iam.gserviceaccount.com'
const OPERATOR = 'user:me@example.com'
const LEAD = 'user:lead@example.com'
const CI = 'serviceAccount:ci@example.iam.gserviceaccount.com'
const DOCTOR_ACCOUNT = `promptbridge-doctor@${PROJECT}.iam.gserviceaccount.com`
const RECORDS = `project ${PROJECT} if resource.name == "projects/${PROJECT}/databases/promptbridge-records"`
const DOCTOR = `projects/${PROJECT}/roles/promptbridge_doctor`
const PAUSE = `projects/${PROJECT}/roles/promptbridge_pause`

const made = await make('modules/google', {
  least: googleVariables,
  most: {
    ...googleVariables,
    submitters: [SUBMITTER],
    operators: [OPERATOR, LEAD],
    pause_operators: [LEAD],
    worker_token_operators: [LEAD],
    doctor_users: [CI],
    grant_token_creator: true,
    events_table: { dataset: 'promptbridge' },
  },
})

if (made !== undefined) {
  const { least, most } = made

  test('the invoker may call the service, and nothing else', () => {
    const expected = ['roles/run.invoker on service promptbridge-worker in europe-west1']
    assert.deepEqual(grantsTo(`serviceAccount:${INVOKER}`, least), expected)
    assert.deepEqual(grantsTo(`serviceAccount:${INVOKER}`, most), expected)
  })

  test('the worker may publish to the three topics and use the records of this database, and nothing else', () => {
    const expected = [
      `roles/datastore.user on ${RECORDS}`,
      'roles/pubsub.publisher on topic promptbridge-dead-letter',
      'roles/pubsub.publisher on topic promptbridge-events',
      'roles/pubsub.publisher on topic promptbridge-jobs',
    ]
    assert.deepEqual(grantsTo(`serviceAccount:${WORKER}`, least), expected)
    assert.deepEqual(grantsTo(`serviceAccount:${WORKER}`, most), expected)
  })

  const forwards = [
    'roles/pubsub.publisher on topic promptbridge-dead-letter',
    'roles/pubsub.subscriber on subscription promptbridge-jobs-high',
    'roles/pubsub.subscriber on subscription promptbridge-jobs-low',
    'roles/pubsub.subscriber on subscription promptbridge-jobs-normal',
  ]

  test('Pub/Sub may forward what was delivered too often from each class of jobs to the dead-letter topic, and no more', () => {
    assert.deepEqual(grantsTo(`serviceAccount:${PUBSUB_AGENT}`, least), forwards)
  })

  test('Pub/Sub may also sign as the invoker and write the table of events, where the variables say so', () => {
    assert.deepEqual(grantsTo(`serviceAccount:${PUBSUB_AGENT}`, most), [
      'roles/bigquery.dataEditor on table promptbridge.events',
      `roles/iam.serviceAccountTokenCreator on ${INVOKER}`,
      ...forwards,
    ])
  })

  test('a submitter may publish jobs, and nothing else', () => {
    assert.deepEqual(grantsTo(SUBMITTER, most), ['roles/pubsub.publisher on topic promptbridge-jobs'])
  })

  const operating = [
    `${DOCTOR} on project ${PROJECT}`,
    `roles/datastore.user on ${RECORDS}`,
    'roles/pubsub.publisher on topic promptbridge-jobs',
    `roles/pubsub.viewer on project ${PROJECT}`,
    'roles/run.viewer on service promptbridge-worker in europe-west1',
  ]

  test('an operator can neither be the worker to Azure nor redirect messages, unless that is asked for', () => {
    assert.deepEqual(grantsTo(OPERATOR, most), operating)
  })

  test('an operator who is named for it may pause, and have the ID token of the worker made', () => {
    const more = [
      `${PAUSE} on subscription promptbridge-jobs-high`,
      `${PAUSE} on subscription promptbridge-jobs-low`,
      `${PAUSE} on subscription promptbridge-jobs-normal`,
      `roles/iam.serviceAccountOpenIdTokenCreator on ${WORKER}`,
      `roles/iam.serviceAccountUser on ${INVOKER}`,
    ]
    assert.deepEqual(grantsTo(LEAD, most), [...operating, ...more].toSorted())
  })

  test('the doctor has an account of its own that reads and changes nothing, and its users may be that account alone', () => {
    assert.deepEqual(grantsTo(CI, most), [`roles/iam.serviceAccountTokenCreator on ${DOCTOR_ACCOUNT}`])
    assert.deepEqual(grantsTo(`serviceAccount:${DOCTOR_ACCOUNT}`, most), [
      `${DOCTOR} on project ${PROJECT}`,
      `roles/datastore.viewer on ${RECORDS}`,
      `roles/pubsub.viewer on project ${PROJECT}`,
      'roles/run.viewer on service promptbridge-worker in europe-west1',
    ])
    assert.equal(most.applied.outputs['doctor_service_account'], DOCTOR_ACCOUNT)
    assert.ok(!least.applied.resources.some(({ address }) => address.startsWith('google_service_account.doctor')))
  })

  test('the doctor may have the ID token of the worker made where it is named for it', async () => {
    const worker_token_operators = [`serviceAccount:${DOCTOR_ACCOUNT}`]
    const { resources } = await tryPlan('modules/google', {
      ...googleVariables,
      doctor_users: [CI],
      worker_token_operators,
    })
    const address = `google_service_account_iam_member.operators_doctor["serviceAccount:${DOCTOR_ACCOUNT}"]`
    assert.equal(find(resources, address).values['role'], 'roles/iam.serviceAccountOpenIdTokenCreator')
  })

  const MEMBERS = ['submitters', 'operators', 'pause_operators', 'worker_token_operators', 'doctor_users']
  for (const everyone of ['allUsers', 'allAuthenticatedUsers', 'ALLUSERS', 'principalSet://goog/public:all']) {
    test(`refused: ${everyone} in each variable that takes members`, async () => {
      const members = Object.fromEntries(MEMBERS.map((name) => [name, [OPERATOR, everyone]]))
      await assert.rejects(tryPlan('modules/google', { ...googleVariables, ...members }), ({ message }: Error) => {
        for (const name of MEMBERS)
          assert.match(message, new RegExp(`${name} names everyone: .* Name accounts or groups`))
        return true
      })
    })
  }

  for (const name of ['pause_operators', 'worker_token_operators']) {
    test(`refused: a member of ${name} that is no operator`, async () => {
      const variables = { ...googleVariables, operators: [OPERATOR], [name]: [LEAD] }
      await assert.rejects(
        tryPlan('modules/google', variables),
        new RegExp(`${name} names ${LEAD}, which operators does not`),
      )
    })
  }

  test('the check of who calls cannot be switched off: an apply switches it on again', () => {
    assert.equal(find(least.plan.resources, 'google_cloud_run_v2_service.worker').values['invoker_iam_disabled'], false)
  })

  let others: readonly string[] = []
  const live = () => ({ policy_data: callersPolicy(...others) })
  const terraform = await openConfiguration(join(setUpFolder, 'modules/google'), {
    within: join(setUpFolder, '../..'),
    computed: { ...computed, 'data google_cloud_run_v2_service_iam_policy': live },
  })
  after(() => terraform[Symbol.asyncDispose]())

  /** What an apply says of a service whose policy names these members beside the invoker. */
  function applyBeside(...members: readonly string[]) {
    others = members
    return terraform.apply(googleVariables)
  }

  for (const everyone of ['allUsers', 'allAuthenticatedUsers']) {
    test(`refused: a service that ${everyone} may call`, async () => {
      await assert.rejects(
        applyBeside(everyone),
        /Everyone may call the service promptbridge-worker: .*remove-iam-policy-binding/,
      )
    })
  }

  test('another caller than the invoker is warned of, and the invoker alone is not', async () => {
    assert.equal((await applyBeside(OPERATOR)).checks['check.only_the_invoker_calls'], 'fail')
    assert.equal(least.applied.checks['check.only_the_invoker_calls'], 'pass')
  })

  test('to pause is not to delete a subscription or take its messages, and to see grants is not to change them', () => {
    const roles = most.applied.resources.filter(({ type }) => type === 'google_project_iam_custom_role')
    assert.deepEqual(Object.fromEntries(roles.map(({ values }) => [values['role_id'], values['permissions']])), {
      promptbridge_doctor: [
        ...['pubsub.subscriptions.getIamPolicy', 'pubsub.topics.getIamPolicy'],
        'resourcemanager.projects.getIamPolicy',
      ],
      promptbridge_pause: ['pubsub.subscriptions.get', 'pubsub.subscriptions.update'],
    })
    assert.ok(!least.applied.resources.some(({ type }) => type === 'google_project_iam_custom_role'))
  })

  const subscriptions = ['high', 'low', 'normal'].map(
    (name) => `projects/${PROJECT}/subscriptions/promptbridge-jobs-${name}`,
  )
  for (const { step, on, roles, isMember } of [
    ...forwardingGrants(PROJECT, 'promptbridge-dead-letter', subscriptions),
    invokerGrant({ project: PROJECT, region: 'europe-west1', name: 'promptbridge-worker' }, INVOKER),
  ]) {
    test(`the doctor finds the ${step}`, () => {
      const given = grantsIn(least).filter((grant) => objectOf(grant).split(' ')[1] === on.name.split('/').at(-1))
      assert.ok(
        given.some(({ values }) => roles.includes(String(values['role'])) && isMember(String(values['member']))),
        step,
      )
    })
  }

  test('no other member has a role, and allUsers and allAuthenticatedUsers have none', () => {
    const known = [`serviceAccount:${INVOKER}`, `serviceAccount:${WORKER}`, `serviceAccount:${PUBSUB_AGENT}`]
    assert.deepEqual(new Set(membersOf(least)), new Set(known))
    assert.deepEqual(
      new Set(membersOf(most)),
      new Set([...known, `serviceAccount:${DOCTOR_ACCOUNT}`, SUBMITTER, OPERATOR, LEAD, CI]),
    )
  })

  test('everything is made in the project that is named, whichever the provider takes otherwise', () => {
    const projects = most.applied.resources.filter(({ values }) => Object.hasOwn(values, 'project'))
    assert.ok(projects.length > 100)
    for (const { address, values } of projects) assert.equal(values['project'], PROJECT, address)
    // Whose number names Pub/Sub's own account.
    assert.equal(find(most.applied.resources, 'data.google_project.this').values['project_id'], PROJECT)
  })

  test('every grant adds one member: none of them replaces what others have granted', () => {
    for (const { type, mode } of most.applied.resources) {
      if (mode === 'managed') assert.doesNotMatch(type, /_iam_(binding|policy)$/)
    }
  })
}

test('every grant has its reason above it', () => {
  const text = readFileSync(join(setUpFolder, 'modules/google/identities.tf'), 'utf8')
  const above = [...text.matchAll(/(.*)\nresource "\w+_iam_\w+" "(\w+)"/g)]
  assert.ok(above.length > 10)
  for (const [, comment, name] of above) assert.match(comment ?? '', /^# .+/, name)
})

function grantsIn({ applied }: Made): readonly Resource[] {
  return applied.resources.filter(({ type }) => type.endsWith('_iam_member'))
}

function membersOf(one: Made): readonly unknown[] {
  return grantsIn(one).map(({ values }) => values['member'])
}

function grantsTo(member: string, one: Made): readonly string[] {
  const grants = grantsIn(one).filter(({ values }) => values['member'] === member)
  return grants.map((grant) => `${grant.values['role']} on ${objectOf(grant)}`).toSorted()
}

/** What a grant is about, and on which condition. */
function objectOf({ type, address, values }: Resource): string {
  switch (type) {
    case 'google_cloud_run_v2_service_iam_member':
      return `service ${values['name']} in ${values['location']}`
    case 'google_pubsub_topic_iam_member':
      return `topic ${values['topic']}`
    case 'google_pubsub_subscription_iam_member':
      return `subscription ${values['subscription']}`
    case 'google_bigquery_table_iam_member':
      return `table ${values['dataset_id']}.${values['table_id']}`
    case 'google_service_account_iam_member':
      return `${values['service_account_id']}`.split('/').at(-1) ?? ''
    case 'google_project_iam_member':
      return `project ${values['project']}${conditionOf(values['condition'])}`
    default:
      throw new Error(`${address} grants something that this test does not know`)
  }
}

function conditionOf(conditions: unknown): string {
  if (!Array.isArray(conditions) || conditions.length === 0) return ''
  return ` if ${Reflect.get(conditions[0], 'expression')}`
}
