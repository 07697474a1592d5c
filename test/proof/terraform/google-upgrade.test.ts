import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Plan } from './read-plan.ts'
import { computed, find, googleVariables, PROJECT, setUpFolder } from './set-up.ts'
import { openConfiguration, type Variables } from './terraform.ts'

/**
 * What the modules of the last release (a5e070a) made, by the providers of these tests: its state without alerts, metrics,
 * services and what is null. It had one operator and one submitter.
 */
const LAST_RELEASE = join(import.meta.dirname, 'fixtures/last-release.json')
const OPERATOR = 'user:me@example.com'
const before = {
  ...googleVariables,
  operators: [OPERATOR],
  submitters: ['serviceAccount:pipeline@example.iam.gserviceaccount.com'],
}

const within = join(setUpFolder, '../..')
const terraform = await openConfiguration(join(setUpFolder, 'modules/google'), { within, computed })
after(() => terraform[Symbol.asyncDispose]())

const upgrade = (over: Variables = {}) => terraform.planFrom(LAST_RELEASE, { ...before, ...over })
const upgraded = await upgrade()

test('an upgrade keeps the (default) database, its indexes and the worker that reads it: nothing that was paid for is forgotten', () => {
  assert.equal(databaseOf(upgraded), '(default)')
  assert.equal(find(upgraded.resources, DATABASE).values['name'], '(default)')
  assert.deepEqual(upgraded.actions[DATABASE], ['no-op'])
  const records = Object.entries(upgraded.actions).filter(([address]) => address.startsWith('google_firestore_'))
  assert.ok(records.length > 30)
  // An index that is new is made.
  for (const [address, actions] of records) assert.ok(['no-op', 'create'].includes(actions.join()), address)
})

test('an upgrade keeps every grant on the records', () => {
  const grants = Object.entries(upgraded.actions).filter(([address]) => address.includes('_records'))
  assert.deepEqual(grants, [
    [`google_project_iam_member.operators_records["${OPERATOR}"]`, ['no-op']],
    ['google_project_iam_member.worker_records', ['no-op']],
  ])
})

test('an upgrade takes from operators what they have to be named for, and nothing that operating needs', () => {
  const taken = Object.entries(upgraded.actions).filter(([, actions]) => actions.join() === 'delete')
  const addresses = taken.map(([address]) => address.replace(/^google_\w+?\.(\w+).*?(?:"([^" ]+).*)?$/, '$1 $2').trim())
  assert.deepEqual(addresses, [
    'pause',
    'operators_pause high',
    'operators_pause low',
    'operators_pause normal',
    'operators_publish dead_letter',
    'operators_publish events',
    `operators_doctor ${OPERATOR}`,
    `operators_resume ${OPERATOR}`,
  ])
})

test('an upgrade takes nothing from an operator who is named for it', async () => {
  const plan = await upgrade({ pause_operators: [OPERATOR], worker_token_operators: [OPERATOR] })
  const taken = Object.entries(plan.actions).filter(([, actions]) => actions.includes('delete'))
  assert.deepEqual(
    taken.map(([address]) => address.split('"')[1]),
    [`dead_letter ${OPERATOR}`, `events ${OPERATOR}`],
  )
})

test('an upgrade makes nothing in the place of what holds messages', () => {
  const held = Object.entries(upgraded.actions).filter(([address]) =>
    /^google_pubsub_(topic|subscription)\./.test(address),
  )
  assert.ok(held.length >= 7)
  for (const [address, actions] of held) assert.ok(!actions.includes('delete'), address)
})

test('an installation whose database was there before it keeps (default) as well', async () => {
  const plan = await terraform.plan({ ...before, create_database: false })
  assert.equal(databaseOf(plan), '(default)')
})

test('refused: another database for an installation that has records', async () => {
  await assert.rejects(
    upgrade({ firestore_database: 'promptbridge-records' }),
    /keeps its records in the database \(default\)/,
  )
  assert.equal(databaseOf(await upgrade({ firestore_database: '(default)' })), '(default)')
})

test('the change of a database is seen by these tests: it would be replaced', async () => {
  const plan = await upgrade({ firestore_location: 'eur3' })
  assert.deepEqual(plan.actions[DATABASE], ['delete', 'create'])
})

const DATABASE = 'google_firestore_database.default[0]'

/** FIRESTORE_DATABASE of the worker. */
function databaseOf(plan: Plan): unknown {
  const { values } = find(plan.resources, 'google_cloud_run_v2_service.worker')
  const text = JSON.stringify(values)
  const [, name] = /"name":"FIRESTORE_DATABASE","value":"([^"]+)"/.exec(text) ?? []
  assert.equal(values['project'], PROJECT)
  return name
}
