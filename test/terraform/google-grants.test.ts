import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { forwardingGrants, invokerGrant } from '../../cli/doctor/check-grants.ts'
import type { Resource } from './read-plan.ts'
import {
  find,
  googleVariables,
  INVOKER,
  type Made,
  make,
  PROJECT,
  PUBSUB_AGENT,
  setUpFolder,
  WORKER,
} from './set-up.ts'

const SUBMITTER = 'serviceAccount:pipeline@example.iam.gserviceaccount.com'
const OPERATOR = 'user:me@example.com'
const RECORDS = `project ${PROJECT} if resource.name == "projects/${PROJECT}/databases/promptbridge-records"`
const DOCTOR = `projects/${PROJECT}/roles/promptbridge_doctor`
const PAUSE = `projects/${PROJECT}/roles/promptbridge_pause`

const made = await make('modules/google', {
  least: googleVariables,
  most: {
    ...googleVariables,
    submitters: [SUBMITTER],
    operators: [OPERATOR],
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

  test('Pub/Sub may also sign as the invoker and write the table of events, where it is told to', () => {
    assert.deepEqual(grantsTo(`serviceAccount:${PUBSUB_AGENT}`, most), [
      'roles/bigquery.dataEditor on table promptbridge.events',
      `roles/iam.serviceAccountTokenCreator on ${INVOKER}`,
      ...forwards,
    ])
  })

  test('a submitter may publish jobs, and nothing else', () => {
    assert.deepEqual(grantsTo(SUBMITTER, most), ['roles/pubsub.publisher on topic promptbridge-jobs'])
  })

  test('an operator may do what the command does, and no more', () => {
    assert.deepEqual(grantsTo(OPERATOR, most), [
      `${DOCTOR} on project ${PROJECT}`,
      `${PAUSE} on subscription promptbridge-jobs-high`,
      `${PAUSE} on subscription promptbridge-jobs-low`,
      `${PAUSE} on subscription promptbridge-jobs-normal`,
      `roles/datastore.user on ${RECORDS}`,
      `roles/iam.serviceAccountOpenIdTokenCreator on ${WORKER}`,
      `roles/iam.serviceAccountUser on ${INVOKER}`,
      'roles/pubsub.publisher on topic promptbridge-dead-letter',
      'roles/pubsub.publisher on topic promptbridge-events',
      'roles/pubsub.publisher on topic promptbridge-jobs',
      `roles/pubsub.viewer on project ${PROJECT}`,
      'roles/run.viewer on service promptbridge-worker in europe-west1',
    ])
  })

  test('to pause is not to delete a subscription or take its messages, and to see grants is not to change them', () => {
    const roles = most.applied.resources.filter(({ type }) => type === 'google_project_iam_custom_role')
    assert.deepEqual(Object.fromEntries(roles.map(({ values }) => [values['role_id'], values['permissions']])), {
      promptbridge_doctor: ['pubsub.subscriptions.getIamPolicy', 'pubsub.topics.getIamPolicy'],
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

  test('nobody else is granted anything, least of all everybody', () => {
    const known = [`serviceAccount:${INVOKER}`, `serviceAccount:${WORKER}`, `serviceAccount:${PUBSUB_AGENT}`]
    assert.deepEqual(new Set(membersOf(least)), new Set(known))
    assert.deepEqual(new Set(membersOf(most)), new Set([...known, SUBMITTER, OPERATOR]))
  })

  test('everything is made in the project that is named, whichever the provider takes otherwise', () => {
    const projects = most.applied.resources.filter(({ values }) => Object.hasOwn(values, 'project'))
    assert.ok(projects.length > 100)
    for (const { address, values } of projects) assert.equal(values['project'], PROJECT, address)
    // Whose number names Pub/Sub's own account.
    assert.equal(find(most.applied.resources, 'data.google_project.this').values['project_id'], PROJECT)
  })

  test('every grant adds one member: none of them replaces what others have granted', () => {
    for (const { type } of most.applied.resources) assert.doesNotMatch(type, /_iam_(binding|policy)$/)
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
