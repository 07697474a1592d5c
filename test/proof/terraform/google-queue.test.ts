import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { judgeSubscription, subscriptionSchema } from '../../../cli/doctor/judge-subscription.ts'
import { settings } from '../../../shared/config/schema.ts'
import { takes } from './filters.ts'
import { find, googleVariables, INVOKER, make, PROJECT, valueAt, WORKER_URI, written } from './set-up.ts'

const made = await make('modules/google', {
  least: googleVariables,
  other: { ...googleVariables, max_job_age_days: 30, scheduler_region: 'europe-west3' },
})

const CLASSES = ['high', 'low', 'normal']
const jobsOf = (name: string) => `google_pubsub_subscription.jobs["${name}"]`
const DEAD_LETTER = 'google_pubsub_subscription.dead_letter'
const PUSHING = [...CLASSES.map(jobsOf), DEAD_LETTER]
const SERVICE = 'google_cloud_run_v2_service.worker'
const SWEEP = 'google_cloud_scheduler_job.sweep'

const AUDIENCE = `https://promptbridge-worker.${PROJECT}.internal`
const DAY_S = 86_400

if (made !== undefined) {
  const { least, other } = made
  const all = least.applied.resources
  const env = new Map(
    listAt('template.0.containers.0.env').map((one) => [Reflect.get(one, 'name'), Reflect.get(one, 'value')]),
  )

  function listAt(place: string): readonly object[] {
    const list = valueAt(least, SERVICE, place)
    assert.ok(Array.isArray(list))
    return list
  }

  test('there are three topics, of which messages in the jobs topic are pushed by class', () => {
    const topics = all.filter(({ type }) => type === 'google_pubsub_topic').map(({ values }) => values['name'])
    assert.deepEqual(topics.toSorted(), ['promptbridge-dead-letter', 'promptbridge-events', 'promptbridge-jobs'])
    const subscriptions = all.filter(({ type }) => type === 'google_pubsub_subscription')
    assert.deepEqual(subscriptions.map(({ address }) => address).toSorted(), PUSHING.toSorted())
  })

  for (const name of CLASSES) {
    test(`jobs of class ${name}: the subscription is this and no more`, () => {
      assert.deepEqual(written(least, jobsOf(name)), {
        project: PROJECT,
        name: `promptbridge-jobs-${name}`,
        filter: filterOf(name),
        ack_deadline_seconds: 600,
        message_retention_duration: `${31 * DAY_S}s`,
        push_config: [{ oidc_token: [{ audience: AUDIENCE }] }],
        retry_policy: [{ minimum_backoff: '10s', maximum_backoff: '600s' }],
        dead_letter_policy: [{ max_delivery_attempts: 100 }],
        expiration_policy: [{ ttl: '' }],
      })
      assert.equal(valueAt(least, jobsOf(name), 'topic'), `projects/${PROJECT}/topics/promptbridge-jobs`)
    })

    test(`jobs of class ${name} that were delivered too often go to the dead-letter topic`, () => {
      const topic = valueAt(least, jobsOf(name), 'dead_letter_policy.0.dead_letter_topic')
      assert.equal(topic, `projects/${PROJECT}/topics/promptbridge-dead-letter`)
    })

    test(`jobs of class ${name} are pushed to /push`, () => {
      assert.equal(valueAt(least, jobsOf(name), 'push_config.0.push_endpoint'), `${WORKER_URI}/push`)
    })
  }

  test('dead letters are pushed to /dead-letter, and nothing dead-letters them again', () => {
    assert.deepEqual(written(least, DEAD_LETTER), {
      project: PROJECT,
      name: 'promptbridge-dead-letter-worker',
      ack_deadline_seconds: 600,
      message_retention_duration: `${31 * DAY_S}s`,
      push_config: [{ oidc_token: [{ audience: AUDIENCE }] }],
      retry_policy: [{ minimum_backoff: '10s', maximum_backoff: '600s' }],
      expiration_policy: [{ ttl: '' }],
    })
    assert.equal(valueAt(least, DEAD_LETTER, 'topic'), `projects/${PROJECT}/topics/promptbridge-dead-letter`)
    assert.equal(valueAt(least, DEAD_LETTER, 'push_config.0.push_endpoint'), `${WORKER_URI}/dead-letter`)
    assert.equal(valueAt(least, DEAD_LETTER, 'dead_letter_policy.0'), undefined)
  })

  function filterOf(name: string): string {
    const filter = find(all, jobsOf(name)).values['filter']
    assert.ok(typeof filter === 'string')
    return filter
  }

  const MESSAGES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['normal', {}],
    ['normal', { 'pb-priority': '' }],
    ['high', { 'pb-priority': 'high' }],
    ['normal', { 'pb-priority': 'normal' }],
    ['low', { 'pb-priority': 'low' }],
    ['normal', { 'pb-priority': 'x' }],
    ['normal', { 'pb-priority': 'High' }],
    ['normal', { priority: 'high' }],
    ['low', { 'pb-priority': 'low', priority: 'high' }],
  ]
  for (const [name, attributes] of MESSAGES) {
    test(`a message with ${JSON.stringify(attributes)} is delivered to the class ${name}, and to no other`, () => {
      assert.deepEqual(
        CLASSES.filter((one) => takes(filterOf(one), attributes)),
        [name],
      )
    })
  }

  test('a filter is not longer than Pub/Sub takes', () => {
    for (const name of CLASSES) assert.ok(filterOf(name).length <= 256)
  })

  test('whatever pushes waits as long as the worker believes, and Cloud Run lets it', () => {
    for (const address of PUSHING) {
      assert.equal(String(valueAt(least, address, 'ack_deadline_seconds')), env.get('ACK_DEADLINE_SECONDS'), address)
    }
    const timeout = valueAt(least, SERVICE, 'template.0.timeout')
    assert.ok(typeof timeout === 'string' && /^\d+s$/.test(timeout))
    assert.ok(Number.parseInt(timeout, 10) >= Number(env.get('ACK_DEADLINE_SECONDS')))
  })

  test('a message is kept for longer than a job may become old, whatever is set', () => {
    for (const one of [least, other]) {
      const envOf = valueAt(one, SERVICE, 'template.0.containers.0.env')
      assert.ok(Array.isArray(envOf))
      const days = envOf.find((each) => Reflect.get(each, 'name') === 'MAX_JOB_AGE_DAYS')
      for (const address of PUSHING) {
        const retention = Number.parseInt(String(valueAt(one, address, 'message_retention_duration')), 10)
        assert.ok(retention > Number(Reflect.get(days, 'value')) * DAY_S, address)
        assert.ok(retention <= 31 * DAY_S, address)
      }
    }
    const asDefault = settings.shape.MAX_JOB_AGE_DAYS.parse(undefined)
    assert.equal(env.get('MAX_JOB_AGE_DAYS'), String(asDefault))
  })

  for (const [address, token] of [
    ...PUSHING.map((address) => [address, 'push_config.0.oidc_token.0'] as const),
    [SWEEP, 'http_target.0.oidc_token.0'] as const,
  ]) {
    test(`${address} comes as the invoker, for the audience that the worker and Cloud Run expect`, () => {
      const audience = valueAt(least, address, `${token}.audience`)
      assert.equal(audience, env.get('PUSH_AUDIENCE'))
      assert.deepEqual(valueAt(least, SERVICE, 'custom_audiences'), [audience])
      const account = valueAt(least, address, `${token}.service_account_email`)
      assert.equal(account, INVOKER)
      assert.equal(account, env.get('PUSH_SERVICE_ACCOUNT'))
    })
  }

  for (const [address, path, deadLetterTopic] of [
    ...CLASSES.map((name) => [jobsOf(name), '/push', 'promptbridge-dead-letter'] as const),
    [DEAD_LETTER, '/dead-letter', undefined] as const,
  ]) {
    test(`the doctor finds nothing wrong with ${address}`, () => {
      const findings = judgeSubscription(liveOf(find(all, address).values), {
        project: PROJECT,
        push: { audience: AUDIENCE, serviceAccount: INVOKER },
        ackDeadlineSeconds: Number(env.get('ACK_DEADLINE_SECONDS')),
        path,
        deadLetterTopic,
      })
      assert.ok(findings.size >= 7)
      for (const [part, { ok, seen }] of findings) assert.equal(ok, true, `${part}: ${seen}`)
    })
  }

  test('the sweep is called every minute, and once more where that fails', () => {
    assert.deepEqual(written(least, SWEEP), {
      project: PROJECT,
      region: 'europe-west1',
      name: 'promptbridge-sweep',
      schedule: '* * * * *',
      attempt_deadline: '60s',
      retry_config: [{ retry_count: 1, min_backoff_duration: '10s', max_backoff_duration: '10s' }],
      http_target: [{ http_method: 'POST', oidc_token: [{ audience: AUDIENCE }] }],
    })
    assert.equal(valueAt(least, SWEEP, 'http_target.0.uri'), `${WORKER_URI}/sweep`)
  })

  test('Cloud Scheduler may be in another region', () => {
    assert.equal(valueAt(other, SWEEP, 'region'), 'europe-west3')
  })
}

const subscription = z.object({
  name: z.string(),
  ack_deadline_seconds: z.number(),
  push_config: z.tuple([
    z.object({
      push_endpoint: z.string(),
      oidc_token: z.tuple([z.object({ audience: z.string(), service_account_email: z.string() })]),
    }),
  ]),
  retry_policy: z.tuple([z.object({ minimum_backoff: z.string(), maximum_backoff: z.string() })]),
  dead_letter_policy: z.array(z.object({ dead_letter_topic: z.string(), max_delivery_attempts: z.number() })),
  expiration_policy: z.tuple([z.object({ ttl: z.string() })]),
})

/** The subscription as a Pub/Sub client would return it. */
function liveOf(values: unknown) {
  const { name, ack_deadline_seconds, push_config, retry_policy, dead_letter_policy, expiration_policy } =
    subscription.parse(values)
  const [push] = push_config
  const [token] = push.oidc_token
  const [policy] = dead_letter_policy
  const seconds = (duration: string) => ({ seconds: Number.parseInt(duration, 10) })
  return subscriptionSchema.parse({
    name,
    ackDeadlineSeconds: ack_deadline_seconds,
    pushConfig: {
      pushEndpoint: push.push_endpoint,
      oidcToken: { audience: token.audience, serviceAccountEmail: token.service_account_email },
    },
    retryPolicy: {
      minimumBackoff: seconds(retry_policy[0].minimum_backoff),
      maximumBackoff: seconds(retry_policy[0].maximum_backoff),
    },
    ...(policy !== undefined && {
      deadLetterPolicy: {
        deadLetterTopic: policy.dead_letter_topic,
        maxDeliveryAttempts: policy.max_delivery_attempts,
      },
    }),
    expirationPolicy: expiration_policy[0].ttl === '' ? {} : { ttl: seconds(expiration_policy[0].ttl) },
  })
}
