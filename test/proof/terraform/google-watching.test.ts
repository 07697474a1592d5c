import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { jobOutcomes, type LoggedOutcome } from '../../../worker/delivery/outcome.ts'
import { googleVariables, type Made, make, PROJECT, written } from './set-up.ts'

const CHANNEL = `projects/${PROJECT}/notificationChannels/1`

const made = await make('modules/google', {
  alerting: { ...googleVariables, notification_channels: [CHANNEL], dead_letters_per_hour: 3, backlog_seconds: 60 },
  withoutAlerts: { ...googleVariables, alerts: false },
})

const OF_WORKER = 'resource.type = "cloud_run_revision" AND resource.labels.service_name = "promptbridge-worker"'
const linesOf = (...names: readonly LoggedOutcome[]) => {
  const [only] = names
  const value = names.length === 1 ? `"${only}"` : `(${names.map((name) => `"${name}"`).join(' OR ')})`
  return `${OF_WORKER} AND jsonPayload.outcome = ${value}`
}

/** What each metric counts, and the fields of a line by its labels. */
const METRICS: Readonly<Record<string, readonly [string, Readonly<Record<string, string>>]>> = {
  jobs: [linesOf(...jobOutcomes), { outcome: 'outcome', deployment: 'deployment' }],
  deferred: [linesOf('retry'), { reason: 'reason' }],
  dead_letters: [linesOf('dead_letter_recorded'), { reason: 'why' }],
  rescued: [linesOf('rescued'), {}],
  token_failures: [linesOf('token_failure'), { leg: 'leg', kind: 'kind' }],
  circuits_opened: [linesOf('circuit_opened'), { deployment: 'deployment', reason: 'reason' }],
  days_closed: [linesOf('day_closed'), {}],
  batches_stopped: [linesOf('batch_stopped'), {}],
  sweeps_refused: [linesOf('sweep_refused'), {}],
  refused_pushes: [linesOf('refused_push'), { status: 'httpStatus' }],
  events_refused: [linesOf('event_refused'), {}],
  faults: [`${OF_WORKER} AND severity >= ERROR`, {}],
  sweeps_failed: [
    'resource.type = "cloud_scheduler_job" AND resource.labels.job_id = "promptbridge-sweep" AND severity >= ERROR',
    {},
  ],
}

const JOBS = 'subscription_id=~"promptbridge-jobs-high|promptbridge-jobs-low|promptbridge-jobs-normal"'
const user = (name: string) => `logging_googleapis_com:user_promptbridge_${name}`
const RUN = 'monitored_resource="cloud_run_revision"'
const SUBSCRIPTION = 'monitored_resource="pubsub_subscription"'
const age = `pubsub_googleapis_com:subscription_oldest_unacked_message_age{${SUBSCRIPTION},${JOBS}}`

/** The query of each alert, and for how long it has to hold. */
const ALERTS: Readonly<Record<string, readonly [string, string]>> = {
  token: [`sum(increase(${user('token_failures')}{${RUN},kind="configuration"}[10m])) > 0`, '0s'],
  dead_letters: [`sum(increase(${user('dead_letters')}{${RUN}}[1h])) > 3`, '0s'],
  backlog: [`max(${age}) > 60`, '300s'],
  circuits: [
    `sum by (deployment) (increase(${user('circuits_opened')}{${RUN}}[15m])) > 5 or sum by (deployment) (increase(${user('circuits_opened')}{${RUN},reason="forbidden"}[15m])) > 0`,
    '0s',
  ],
  dead_letter_pushes: [
    `sum(increase(pubsub_googleapis_com:subscription_push_request_count{${SUBSCRIPTION},subscription_id="promptbridge-dead-letter-worker",response_class!="ack"}[15m])) > 0`,
    '900s',
  ],
  sweeps: [`sum(increase(${user('sweeps_failed')}{monitored_resource="cloud_scheduler_job"}[10m])) >= 5`, '0s'],
  day: [`sum(increase(${user('days_closed')}{${RUN}}[10m])) > 0`, '0s'],
  sweeps_refused: [`sum(increase(${user('sweeps_refused')}{${RUN}}[10m])) > 0`, '600s'],
  store: [`sum(increase(${user('deferred')}{${RUN},reason="store"}[5m])) > 0`, '300s'],
  refused_pushes: [`sum(increase(${user('refused_pushes')}{${RUN}}[10m])) > 0`, '0s'],
  faults: [`sum(increase(${user('faults')}{${RUN}}[10m])) > 0`, '0s'],
}

const policy = z.strictObject({
  project: z.literal(PROJECT),
  display_name: z.string().startsWith('promptbridge: '),
  combiner: z.literal('OR'),
  notification_channels: z.array(z.string()),
  conditions: z.tuple([
    z.strictObject({
      display_name: z.string().min(1),
      condition_prometheus_query_language: z.tuple([
        z.strictObject({
          query: z.string(),
          duration: z.string(),
          evaluation_interval: z.literal('60s'),
          disable_metric_validation: z.literal(true),
        }),
      ]),
    }),
  ]),
  documentation: z.tuple([z.strictObject({ content: z.string().min(1), mime_type: z.literal('text/markdown') })]),
})

const board = z.strictObject({
  displayName: z.literal('promptbridge'),
  gridLayout: z.strictObject({
    columns: z.literal('2'),
    widgets: z.array(
      z.strictObject({
        title: z.string().min(1),
        xyChart: z.strictObject({
          dataSets: z.tuple([
            z.strictObject({
              plotType: z.literal('LINE'),
              timeSeriesQuery: z.strictObject({ prometheusQuery: z.string() }),
            }),
          ]),
        }),
      }),
    ),
  }),
})

if (made !== undefined) {
  const { alerting, withoutAlerts } = made

  test('there is a metric for each outcome that is counted, and no other', () => {
    assert.deepEqual(
      keysOf(alerting, 'google_logging_metric').toSorted(),
      Object.keys(METRICS)
        .map((name) => `google_logging_metric.worker["${name}"]`)
        .toSorted(),
    )
  })

  for (const [name, [filter, labels]] of Object.entries(METRICS)) {
    test(`the metric ${name} counts its lines of the log`, () => {
      const { description, ...metric } = z
        .looseObject({ description: z.string().min(1) })
        .parse(written(alerting, `google_logging_metric.worker["${name}"]`))
      assert.ok(description.length > 10)
      const keys = Object.keys(labels).toSorted()
      const declared = keys.map((key) => ({ key, value_type: 'STRING' }))
      const extracted = Object.entries(labels).map(([label, field]) => [label, `EXTRACT(jsonPayload.${field})`])
      assert.deepEqual(metric, {
        project: PROJECT,
        name: `promptbridge/${name}`,
        filter,
        label_extractors: Object.fromEntries(extracted),
        metric_descriptor: [
          { metric_kind: 'DELTA', value_type: 'INT64', ...(keys.length > 0 && { labels: declared }) },
        ],
      })
    })
  }

  test('there is an alert for each condition of the list, and no other', () => {
    assert.deepEqual(
      keysOf(alerting, 'google_monitoring_alert_policy').toSorted(),
      Object.keys(ALERTS)
        .map((name) => `google_monitoring_alert_policy.worker["${name}"]`)
        .toSorted(),
    )
  })

  for (const [name, [query, duration]] of Object.entries(ALERTS)) {
    test(`the alert ${name} notifies the channels, and says how to fix it`, () => {
      const alert = policy.parse(written(alerting, `google_monitoring_alert_policy.worker["${name}"]`))
      const [{ condition_prometheus_query_language: condition }] = alert.conditions
      assert.equal(condition[0].query, query)
      assert.equal(condition[0].duration, duration)
      assert.deepEqual(alert.notification_channels, [CHANNEL])
    })
  }

  test('every metric of the log that an alert or a chart asks for is there', () => {
    const asked = [...queriesOf(alerting)].flatMap((query) =>
      [...query.matchAll(/user_promptbridge_(\w+)\{/g)].map(([, name]) => name),
    )
    assert.ok(asked.length > 10)
    for (const name of asked) assert.ok(name !== undefined && Object.hasOwn(METRICS, name), name)
  })

  test('every query says which kind of resource it is about: a metric of the log may be of any', () => {
    for (const query of queriesOf(alerting)) {
      const metrics = query.match(/\w+_googleapis_com:\w+\{/g) ?? []
      const typed = query.match(/\w+_googleapis_com:\w+\{monitored_resource="\w+"/g) ?? []
      assert.ok(metrics.length > 0)
      assert.equal(typed.length, metrics.length, query)
    }
  })

  test('the dashboard shows jobs, what they wait for, and what failed', () => {
    assert.deepEqual(
      dashboardOf(alerting).gridLayout.widgets.map(({ title }) => title),
      [
        ...['Jobs by outcome', 'Deferred, by reason', 'Dead letters by reason', 'Token failures'],
        ...['Circuits opened', 'Jobs that wait', 'Age of the oldest job that waits, s', 'Instances'],
      ],
    )
  })

  test('without alerts, there are only the metrics', () => {
    assert.deepEqual(keysOf(withoutAlerts, 'google_monitoring_alert_policy'), [])
    assert.deepEqual(keysOf(withoutAlerts, 'google_monitoring_dashboard'), [])
    assert.equal(keysOf(withoutAlerts, 'google_logging_metric').length, Object.keys(METRICS).length)
  })
}

function keysOf({ applied }: Made, type: string): readonly string[] {
  return applied.resources.filter((resource) => resource.type === type).map(({ address }) => address)
}

function dashboardOf(one: Made): z.infer<typeof board> {
  const address = 'google_monitoring_dashboard.worker[0]'
  const { dashboard_json: json } = z
    .strictObject({ project: z.literal(PROJECT), dashboard_json: z.string() })
    .parse(written(one, address))
  return board.parse(JSON.parse(json))
}

function queriesOf(one: Made): readonly string[] {
  const alerts = keysOf(one, 'google_monitoring_alert_policy').map(
    (address) => policy.parse(written(one, address)).conditions[0].condition_prometheus_query_language[0].query,
  )
  const charts = dashboardOf(one).gridLayout.widgets.map(
    ({ xyChart }) => xyChart.dataSets[0].timeSeriesQuery.prometheusQuery,
  )
  return [...alerts, ...charts]
}
