import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { find, googleVariables, make, PROJECT, WORKER } from './set-up.ts'

const CHANNEL = `projects/${PROJECT}/notificationChannels/1`
const made = await make('modules/google', {
  least: googleVariables,
  watched: {
    ...googleVariables,
    alerts: false,
    audit_logs: true,
    alert_on_delivery_changes: true,
    notification_channels: [CHANNEL],
    events_table: { dataset: 'promptbridge' },
  },
})
assert.ok(made !== undefined)
const least = made.least.applied
const watched = made.watched.applied

const auditConfig = z.object({
  service: z.string(),
  audit_log_config: z.array(z.object({ log_type: z.string(), exempted_members: z.array(z.string()).nullish() })),
})
const alert = z.object({
  notification_channels: z.array(z.string()),
  conditions: z.tuple([
    z.object({
      condition_matched_log: z.tuple([
        z.object({ filter: z.string(), label_extractors: z.record(z.string(), z.string()) }),
      ]),
    }),
  ]),
  alert_strategy: z.tuple([z.object({ notification_rate_limit: z.tuple([z.object({ period: z.string() })]) })]),
})

test('neither is made unless it is asked for', () => {
  for (const { address } of least.resources) assert.doesNotMatch(address, /audit_config|delivery_changed/)
})

test('the audit logs say who read and changed records and who looked at subscriptions, and leave the worker out', () => {
  const configs = watched.resources
    .filter(({ type }) => type === 'google_project_iam_audit_config')
    .map(({ values }) => auditConfig.parse(values))
  const exempted = (of: string) =>
    configs
      .filter(({ service }) => service === of)
      .flatMap(({ audit_log_config: each }) =>
        each.map((one) => [one.log_type, ...(one.exempted_members ?? [])].join(' ')),
      )
      .toSorted()
  assert.deepEqual(exempted('pubsub.googleapis.com'), ['ADMIN_READ', 'DATA_READ', 'DATA_WRITE'])
  // The name that Firestore has in this configuration.
  const worker = `serviceAccount:${WORKER}`
  assert.deepEqual(exempted('datastore.googleapis.com'), ['ADMIN_READ', `DATA_READ ${worker}`, `DATA_WRITE ${worker}`])
})

const address = 'google_monitoring_alert_policy.delivery_changed[0]'
const { notification_channels, conditions, alert_strategy } = alert.parse(find(watched.resources, address).values)
const [
  {
    condition_matched_log: [matched],
  },
] = conditions

test('the alert on a changed subscription is made without the other alerts, says who did it, and notifies the channels', () => {
  assert.deepEqual(notification_channels, [CHANNEL])
  assert.equal(alert_strategy[0].notification_rate_limit[0].period, '300s')
  assert.deepEqual(matched.label_extractors, {
    method: 'EXTRACT(protoPayload.methodName)',
    subscription: 'EXTRACT(protoPayload.resourceName)',
    by: 'EXTRACT(protoPayload.authenticationInfo.principalEmail)',
  })
})

/** An entry of an audit log, as far as the filter looks at it. */
interface Entry {
  readonly log?: string
  readonly method: string
  readonly resource?: string
  readonly topic?: string
}

/** Whether the filter's own patterns match an entry. */
function matches({ log = 'activity', method, resource = '', topic = '' }: Entry): boolean {
  const texts: Readonly<Record<string, string>> = {
    logName: `projects/${PROJECT}/logs/cloudaudit.googleapis.com%2F${log}`,
    'protoPayload.serviceName': 'pubsub.googleapis.com',
    'protoPayload.methodName': `google.pubsub.v1.${method}`,
    'protoPayload.resourceName': resource,
    'protoPayload.request.topic': topic,
  }
  const judge = (part: string) => {
    const [, field = '', operator, pattern = ''] = /^\(?([\w.]+) (=~|=) "(.*)"\)?$/.exec(part) ?? []
    const text = texts[field]
    assert.ok(text !== undefined, `cannot be read: ${part}`)
    return operator === '=' ? text === pattern : new RegExp(pattern).test(text)
  }
  return matched.filter.split(' AND ').every((part) => part.split(' OR ').map(judge).some(Boolean))
}

const ours = (name: string) => `projects/${PROJECT}/subscriptions/promptbridge-${name}`
const topic = (name: string) => `projects/${PROJECT}/topics/${name}`

for (const [what, entry, expected] of [
  ['a push endpoint that is changed', { method: 'Subscriber.ModifyPushConfig', resource: ours('jobs-high') }, true],
  [
    'a subscription that is changed',
    { method: 'Subscriber.UpdateSubscription', resource: ours('dead-letter-worker') },
    true,
  ],
  ['a subscription that is deleted', { method: 'Subscriber.DeleteSubscription', resource: ours('events-table') }, true],
  ['a subscription that is detached', { method: 'Publisher.DetachSubscription', resource: ours('jobs-normal') }, true],
  [
    'a new subscription that copies all jobs',
    {
      method: 'Subscriber.CreateSubscription',
      resource: `projects/${PROJECT}/subscriptions/copy`,
      topic: topic('promptbridge-jobs'),
    },
    true,
  ],
  [
    'a seek that drops what waits, where it is logged',
    { log: 'data_access', method: 'Subscriber.Seek', resource: ours('jobs-low') },
    true,
  ],
  [
    'a look at a subscription',
    { log: 'data_access', method: 'Subscriber.GetSubscription', resource: ours('jobs-low') },
    false,
  ],
  [
    'a subscription of others',
    { method: 'Subscriber.UpdateSubscription', resource: `projects/${PROJECT}/subscriptions/letters` },
    false,
  ],
  [
    'a subscription of a topic of others',
    {
      method: 'Subscriber.CreateSubscription',
      resource: `projects/${PROJECT}/subscriptions/copy`,
      topic: topic('letters'),
    },
    false,
  ],
] as const satisfies readonly (readonly [string, Entry, boolean])[]) {
  test(`the alert ${expected ? 'is raised by' : 'is not raised by'} ${what}`, () => {
    assert.equal(matches(entry), expected)
  })
}
