import { z } from 'zod'
import { fullTopicName } from '../../shared/config/topic-name.ts'
import { quote } from '../../shared/lib/quote.ts'
import type { PushPath } from '../../shared/queues/pubsub/push-subscriptions.ts'
import type { Finding } from './step.ts'

/** What a push subscription should be. */
export interface WantedSubscription {
  readonly project: string
  /** undefined: pushes are not checked. */
  readonly push: { readonly audience: string; readonly serviceAccount: string } | undefined
  readonly ackDeadlineSeconds: number
  readonly path: PushPath
  /** Undefined: the subscription must have no dead-letter policy. */
  readonly deadLetterTopic: string | undefined
}

/** As a Pub/Sub client returns them: whole numbers may be strings. */
const seconds = z.object({ seconds: z.coerce.number().nullish() }).nullish()
const text = z.string().nullish()
export const subscriptionSchema = z.object({
  name: z.string(),
  pushConfig: z
    .object({ pushEndpoint: text, oidcToken: z.object({ audience: text, serviceAccountEmail: text }).nullish() })
    .nullish(),
  ackDeadlineSeconds: z.number().nullish(),
  deadLetterPolicy: z.object({ deadLetterTopic: text, maxDeliveryAttempts: z.number().nullish() }).nullish(),
  retryPolicy: z.object({ minimumBackoff: seconds, maximumBackoff: seconds }).nullish(),
  expirationPolicy: z.object({ ttl: seconds }).nullish(),
})
export type LiveSubscription = z.infer<typeof subscriptionSchema>

/** Enough for an outage of about 16 hours. With fewer, healthy jobs would be dead-lettered. */
const MAX_DELIVERY_ATTEMPTS = 100
const MIN_BACKOFF_S = 10
const MAX_BACKOFF_S = 600

/** Compares a push subscription with the configuration that it should have. Returns a finding for each property. */
export function judgeSubscription(
  live: LiveSubscription,
  wanted: WantedSubscription,
): ReadonlyMap<string, Finding<unknown>> {
  const { project, push, ackDeadlineSeconds, deadLetterTopic, path } = wanted
  const name = live.name.split('/').at(-1) ?? live.name
  const update = (flags: string) =>
    `gcloud pubsub subscriptions update ${quote(name)} --project=${quote(project)} ${flags}`
  const compare = (seen: string, expected: string, flags: string): Finding<unknown> =>
    seen === expected ? { ok: true, seen, value: undefined } : { ok: false, seen, expected, fix: update(flags) }

  const { pushEndpoint, oidcToken } = live.pushConfig ?? {}
  const found = new Map<string, Finding<unknown>>()
  found.set('endpoint', { ok: true, seen: pushEndpoint ?? 'none', value: undefined })
  if (push === undefined) {
    found.set('identity', { ok: null, seen: 'PUSH_AUTH is off: the worker does not check who pushes' })
  } else {
    // gcloud sets the three together.
    const flags = [
      `--push-endpoint=${quote(pushEndpoint ?? `https://WORKER${path}`)}`,
      `--push-auth-service-account=${quote(push.serviceAccount)}`,
      `--push-auth-token-audience=${quote(push.audience)}`,
    ].join(' ')
    // Without an audience, Pub/Sub uses the endpoint.
    const audience = oidcToken?.audience || (oidcToken ? pushEndpoint : undefined)
    found.set('audience', compare(audience ?? 'none', push.audience, flags))
    found.set('service account', compare(oidcToken?.serviceAccountEmail || 'none', push.serviceAccount, flags))
  }
  found.set(
    'ack deadline',
    compare(`${live.ackDeadlineSeconds ?? 10} s`, `${ackDeadlineSeconds} s`, `--ack-deadline=${ackDeadlineSeconds}`),
  )
  const { deadLetterTopic: liveTopic, maxDeliveryAttempts } = live.deadLetterPolicy ?? {}
  found.set(
    'dead-letter policy',
    compare(
      liveTopic ? `${liveTopic} after ${maxDeliveryAttempts || 5} attempts` : 'none',
      deadLetterTopic === undefined
        ? 'none'
        : `${fullTopicName(deadLetterTopic, project)} after ${MAX_DELIVERY_ATTEMPTS} attempts`,
      deadLetterTopic === undefined
        ? '--clear-dead-letter-policy'
        : deadLetterFlags(fullTopicName(deadLetterTopic, project)).join(' '),
    ),
  )
  found.set(
    'retry policy',
    compare(
      describeBackoff(live.retryPolicy),
      `${MIN_BACKOFF_S} to ${MAX_BACKOFF_S} s`,
      `--min-retry-delay=${MIN_BACKOFF_S}s --max-retry-delay=${MAX_BACKOFF_S}s`,
    ),
  )
  found.set('expiration', compare(describeExpiration(live.expirationPolicy), 'never', '--expiration-period=never'))
  return found
}

/** The command that creates a subscription with the right configuration. */
export function createLine(topic: string, { project, push, ...wanted }: WantedSubscription): string {
  const auth =
    push === undefined
      ? []
      : [
          `--push-auth-service-account=${quote(push.serviceAccount)}`,
          `--push-auth-token-audience=${quote(push.audience)}`,
        ]
  return [
    `gcloud pubsub subscriptions create ${quote(`${shortName(topic)}-worker`)}`,
    `--project=${quote(project)}`,
    `--topic=${quote(topic)}`,
    `--push-endpoint=https://WORKER${wanted.path}`,
    ...auth,
    `--ack-deadline=${wanted.ackDeadlineSeconds}`,
    ...(wanted.deadLetterTopic === undefined ? [] : deadLetterFlags(fullTopicName(wanted.deadLetterTopic, project))),
    `--min-retry-delay=${MIN_BACKOFF_S}s`,
    `--max-retry-delay=${MAX_BACKOFF_S}s`,
    '--expiration-period=never',
  ].join(' ')
}

function deadLetterFlags(topic: string): string[] {
  return [`--dead-letter-topic=${quote(topic)}`, `--max-delivery-attempts=${MAX_DELIVERY_ATTEMPTS}`]
}

function shortName(topic: string): string {
  return topic.split('/').at(-1) ?? topic
}

/** Without a policy, a deferred message is redelivered at once. */
function describeBackoff(policy: LiveSubscription['retryPolicy']): string {
  if (!policy) return 'none: redelivers at once'
  return `${policy.minimumBackoff?.seconds ?? 10} to ${policy.maximumBackoff?.seconds ?? 600} s`
}

/** Without a policy, a subscription that is idle for 31 days is deleted; with one that names no time, it never is. */
function describeExpiration(policy: LiveSubscription['expirationPolicy']): string {
  if (!policy) return 'after 31 idle days'
  const ttl = policy.ttl?.seconds
  return ttl ? `after ${Math.round(ttl / 86_400)} idle days` : 'never'
}
