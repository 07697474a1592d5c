import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { find, googleVariables, type Made, make, PROJECT, setUpFolder, tryPlan, valueAt, written } from './set-up.ts'

const made = await make('modules/google', {
  least: googleVariables,
  most: {
    ...googleVariables,
    create_database: false,
    enable_services: false,
    deletion_protection: false,
    events_table: { dataset: 'promptbridge', location: 'EU' },
  },
})

const declared = z
  .object({
    indexes: z.array(
      z.object({
        collectionGroup: z.string(),
        queryScope: z.string(),
        fields: z.array(z.object({ fieldPath: z.string(), order: z.string() })),
      }),
    ),
    fieldOverrides: z.array(
      z.object({ collectionGroup: z.string(), fieldPath: z.string(), ttl: z.boolean().default(false) }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(setUpFolder, '../firestore.indexes.json'), 'utf8')))

const DATABASE = 'promptbridge-records'

if (made !== undefined) {
  const { least, most } = made

  test('the database of a new installation is its own, and is not destroyed by accident', () => {
    assert.deepEqual(written(least, 'google_firestore_database.default[0]'), {
      project: PROJECT,
      name: DATABASE,
      location_id: 'europe-west1',
      type: 'FIRESTORE_NATIVE',
      delete_protection_state: 'DELETE_PROTECTION_ENABLED',
      deletion_policy: 'ABANDON',
    })
  })

  test('point-in-time recovery is switched on by its variable, and a new database has the name that is given', async () => {
    const variables = { ...googleVariables, point_in_time_recovery: true, firestore_database: 'my-records' }
    const { resources } = await tryPlan('modules/google', variables)
    const { values } = find(resources, 'google_firestore_database.default[0]')
    assert.equal(values['point_in_time_recovery_enablement'], 'POINT_IN_TIME_RECOVERY_ENABLED')
    assert.equal(values['name'], 'my-records')
  })

  test('refused: the name of a database that Firestore does not take', async () => {
    const variables = { ...googleVariables, firestore_database: 'My_Records' }
    await assert.rejects(tryPlan('modules/google', variables), /firestore_database must be \(default\), or 4 to 63/)
  })

  test('a database that is there already is used as it is', () => {
    assert.deepEqual(namesOf(most, 'google_firestore_database'), [])
    assert.equal(namesOf(most, 'google_firestore_field').length, declared.fieldOverrides.length)
  })

  test('the composite indexes are those of deploy/firestore.indexes.json', () => {
    const expected = declared.indexes.map(({ collectionGroup: collection, queryScope: query_scope, fields }) => ({
      ...{ project: PROJECT, database: DATABASE, collection, query_scope },
      fields: fields.map(({ fieldPath: field_path, order }) => ({ field_path, order })),
    }))
    assert.deepEqual(new Set(plannedOf(least, 'google_firestore_index')), new Set(expected))
  })

  test('the fields without indexes are those of deploy/firestore.indexes.json, and those that expire a document too', () => {
    const expected = declared.fieldOverrides.map(({ collectionGroup: collection, fieldPath: field, ttl }) => ({
      ...{ project: PROJECT, database: DATABASE, collection, field },
      // Empty: no index, and a policy without settings of its own.
      index_config: [{}],
      ...(ttl && { ttl_config: [{}] }),
    }))
    assert.deepEqual(new Set(plannedOf(least, 'google_firestore_field')), new Set(expected))
  })

  const EXPIRING = ['promptJobs', 'parts', 'deadLetters', 'tokenFailures', 'workerInstances', 'missingDeployments']
  for (const collection of EXPIRING) {
    test(`${collection}: documents are deleted when their expireAt has come`, () => {
      const address = `google_firestore_field.exempt["${collection}.expireAt"]`
      assert.notEqual(valueAt(least, address, 'ttl_config.0'), undefined)
    })
  }

  test('no other document expires', () => {
    const fields = least.plan.resources.filter(({ type }) => type === 'google_firestore_field')
    const expiring = fields.filter(
      ({ values }) => Array.isArray(values['ttl_config']) && values['ttl_config'].length > 0,
    )
    assert.deepEqual(new Set(expiring.map(({ values }) => values['field'])), new Set(['expireAt']))
    assert.equal(expiring.length, EXPIRING.length)
  })

  test('events go to no table, unless one is named', () => {
    for (const type of ['google_bigquery_dataset', 'google_bigquery_table', 'google_bigquery_table_iam_member']) {
      assert.deepEqual(namesOf(least, type), [])
    }
    assert.ok(!least.applied.resources.some(({ values }) => values['name'] === 'promptbridge-events-table'))
  })

  const SUBSCRIPTION = 'google_pubsub_subscription.events_table["this"]'

  test('events are written to the table that is named, each with its attributes', () => {
    assert.deepEqual(written(most, SUBSCRIPTION), {
      project: PROJECT,
      name: 'promptbridge-events-table',
      message_retention_duration: '2678400s',
      bigquery_config: [{ table: `${PROJECT}.promptbridge.events`, write_metadata: true }],
      retry_policy: [{ minimum_backoff: '10s', maximum_backoff: '600s' }],
      expiration_policy: [{ ttl: '' }],
    })
    assert.equal(valueAt(most, SUBSCRIPTION, 'topic'), `projects/${PROJECT}/topics/promptbridge-events`)
  })

  test('the table has the columns that such a subscription writes', () => {
    const table = 'google_bigquery_table.events["this"]'
    const { schema, ...rest } = z.looseObject({ schema: z.string() }).parse(written(most, table))
    assert.deepEqual(rest, {
      project: PROJECT,
      dataset_id: 'promptbridge',
      table_id: 'events',
      deletion_protection: false,
      time_partitioning: [{ type: 'DAY', field: 'publish_time' }],
    })
    const columns = z.array(z.object({ name: z.string(), type: z.string(), mode: z.literal('NULLABLE') }))
    assert.deepEqual(
      columns.parse(JSON.parse(schema)).map(({ name, type }) => `${name} ${type}`),
      ['subscription_name STRING', 'message_id STRING', 'publish_time TIMESTAMP', 'data STRING', 'attributes JSON'],
    )
  })

  test('its dataset lies where it is wanted', () => {
    const dataset = { project: PROJECT, dataset_id: 'promptbridge', location: 'EU' }
    assert.deepEqual(written(most, 'google_bigquery_dataset.events["this"]'), dataset)
  })

  test('the subscription is made when Pub/Sub may write the table', () => {
    assert.match(textOf('events.tf'), /depends_on = \[google_bigquery_table_iam_member\.pubsub_events\]/)
  })

  test('the APIs that are used are enabled, and none is disabled by a destroy', () => {
    const names = ['bigquery', 'cloudscheduler', 'firestore', 'iam', 'iamcredentials', 'logging', 'monitoring']
    assert.deepEqual(
      plannedOf(least, 'google_project_service'),
      [...names, 'pubsub', 'run'].map((name) => ({
        project: PROJECT,
        service: `${name}.googleapis.com`,
        disable_on_destroy: false,
      })),
    )
  })

  test('the APIs are not managed where they are enabled elsewhere', () => {
    assert.deepEqual(namesOf(most, 'google_project_service'), [])
  })

  test('nothing that needs an API of its own is made before it is enabled', () => {
    for (const file of [
      'dashboard',
      'alerts',
      'metrics',
      'events',
      'records',
      'sweep',
      'queue',
      'worker',
      'identities',
    ]) {
      const unready = textOf(`${file}.tf`)
        .split(/^(?=resource )/m)
        .filter((block) => FIRST_OF_AN_API.test(block) && !block.includes('google_project_service.needed'))
      assert.deepEqual(unready, [], file)
    }
  })
}

/** All others are made from one of these. */
const FIRST_OF_AN_API =
  /^resource "google_(pubsub_topic|service_account|cloud_run_v2_service|cloud_scheduler_job|firestore_database|bigquery_dataset|logging_metric|monitoring_alert_policy|monitoring_dashboard|project_iam_custom_role)" /

function textOf(file: string): string {
  return readFileSync(join(setUpFolder, 'modules/google', file), 'utf8')
}

function namesOf({ applied }: Made, type: string): readonly string[] {
  return applied.resources.filter((resource) => resource.type === type).map(({ address }) => address)
}

function plannedOf(one: Made, type: string): readonly unknown[] {
  return namesOf(one, type).map((address) => written(one, address))
}
