import { z } from 'zod'
import { parseJson } from '../shared/lib/parse-json.ts'
import { CONTENT_FILTER_MARKER } from './azure-openai/answer-call.ts'
import { DEFAULT_DEPLOYMENT, EMBEDDING_DEPLOYMENT, startAzureOpenAI } from './azure-openai.ts'
import { type CallLog, openCallLog } from './call-log.ts'
import { realDependencies } from './dependencies.ts'
import type { FederatedCredential } from './entra/exchange.ts'
import { OUR_CREDENTIAL, startEntra } from './entra.ts'
import { AZURE, ENTRA, GOOGLE } from './identities.ts'
import { startMetadataServer } from './metadata-server.ts'
import { startPubSubPush } from './pubsub-push/pubsub-push.ts'
import { startPushRelay } from './pubsub-push/push-relay.ts'

/** The schema of the only argument, a JSON object. */
const settingsSchema = z.strictObject({
  /** The file of the queue and of the call log. */
  state: z.string(),
  /** Where to write Entra's certificate. */
  caPath: z.string(),
  /** The worker's push endpoint. */
  pushTo: z.url(),
  /** Whether Google's emulator pushes, through this process; otherwise the embedded queue is pushed. */
  isRelay: z.boolean().default(false),
  /** Whether the messages are pushed to the worker; otherwise the worker delivers them itself. */
  isPushing: z.boolean().default(true),
  /** Where the messages of the events topic are pushed. */
  events: z.strictObject({ topic: z.string(), to: z.url({ protocol: /^https?$/ }) }).optional(),
  /** Whether there are stand-ins for Google, Entra and Azure OpenAI beside the pushes. */
  hasClouds: z.boolean().default(true),
  jobsTopic: z.string(),
  deadLetterTopic: z.string(),
  maxOutstanding: z.int().positive().default(1_000),
  /** The longest pause of Pub/Sub after rejections. The real one is up to a minute. */
  maxPauseMs: z.int().positive().default(60_000),
  ackDeadlineMs: z.int().positive().default(600_000),
  retry: z.strictObject({ minBackoffMs: z.int(), maxBackoffMs: z.int() }).optional(),
  contextWindow: z.int().positive().default(DEFAULT_DEPLOYMENT.contextWindow),
  latency: z.strictObject({ baseMs: z.number(), perOutputTokenMs: z.number(), spread: z.number() }).optional(),
  tokenLifetimeSeconds: z.int().positive().optional(),
  /** Differences from the worker's settings. */
  wrong: z
    .strictObject({
      /** Of the app registration's federated credential; null: it has none. */
      credential: z
        .strictObject({ issuer: z.string(), subject: z.string(), audience: z.string() })
        .partial()
        .nullable()
        .optional(),
      /** Whether the app registration lacks the role on the resource. */
      isRoleMissing: z.boolean().optional(),
      /** The tenant that the resource belongs to. */
      resourceTenantId: z.string().optional(),
      isServiceAccountMissing: z.boolean().optional(),
      /** How far Google's clock is ahead of this one. */
      googleAheadMs: z.int().optional(),
    })
    .prefault({}),
})

const HELP = `Usage: node local/main.ts SETTINGS

Runs the stand-ins for Google, Entra, Azure OpenAI and Pub/Sub push. To run a worker on them, use promptbridge dev,
which starts this process itself.
SETTINGS is a JSON object. These are required: state, caPath, pushTo, jobsTopic, deadLetterTopic.

  state            the SQLite file of the queue and of the call log
  caPath           where to write the certificate of Entra's stand-in
  pushTo           the worker's push endpoint, such as http://127.0.0.1:8080/push
  jobsTopic        the topic of the jobs
  deadLetterTopic  the topic of the dead letters

The schema at the top of this file has all settings. When all stand-ins listen, it prints one line of JSON: their addresses, and
the environment of a worker.
`

/**
 * Runs all stand-ins in one process: Google's metadata server, Entra, Azure OpenAI and Pub/Sub push.
 *
 * Prints one line of JSON when all of them listen: their control addresses, and the environment for a worker. Ends on
 * SIGTERM, and with the process that started it.
 */
async function main(argument: string | undefined): Promise<void> {
  if (argument === '--help' || argument === '-h') return void process.stdout.write(HELP)
  const parsed = settingsSchema.safeParse(parseJson(argument ?? '{}'))
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `  ${path.join('.') || 'the argument'}: ${message}\n`,
    )
    process.stderr.write(`${HELP}\n${problems.join('')}`)
    process.exitCode = 2
    return
  }
  const settings = parsed.data
  const log = await openCallLog(settings.state)
  const clouds = settings.hasClouds ? await startClouds(settings, log) : NO_CLOUDS
  const push = await startPush(settings, log)
  const ready = {
    filteredPhrase: CONTENT_FILTER_MARKER,
    control: { ...clouds.control, push: push.url },
    environment: {
      ...clouds.environment,
      ...(settings.isPushing && {
        // A worker on the same file must not deliver its messages itself.
        PUSH_AUTH: 'verify',
        PUSH_AUDIENCE: settings.pushTo,
        PUSH_SERVICE_ACCOUNT: PUSH_SERVICE_ACCOUNT,
        PUSH_CERTS_URL: push.certsUrl,
      }),
      JOBS_TOPIC: settings.jobsTopic,
      DEAD_LETTER_TOPIC: settings.deadLetterTopic,
    },
  }
  process.stdout.write(`${JSON.stringify(ready)}\n`)

  await shutdownRequested()
  for (const standIn of [push, ...clouds.standIns]) await standIn.close()
  log.close()
  process.exit(0)
}

const NO_CLOUDS = { standIns: [], control: {}, environment: {} }

async function startClouds(settings: Settings, log: CallLog) {
  const { caPath, tokenLifetimeSeconds, wrong } = settings
  const metadata = await startMetadataServer({
    log,
    hasServiceAccount: wrong.isServiceAccountMissing !== true,
    dependencies: { now: () => realDependencies.now() + (wrong.googleAheadMs ?? 0) },
  })
  const lifetime = tokenLifetimeSeconds === undefined ? {} : { tokenLifetimeSeconds }
  const entra = await startEntra({
    log,
    assertionKeysUrl: metadata.certsUrl,
    caPath,
    credentials: credentialsOf(wrong),
    ...lifetime,
  })
  const azure = await startAzureOpenAI({
    log,
    tokenKeysUrl: entra.keysUrl,
    tokenKeysCaPem: entra.caPem,
    deployments: [{ ...DEFAULT_DEPLOYMENT, contextWindow: settings.contextWindow }, EMBEDDING_DEPLOYMENT],
    ...(settings.latency === undefined ? {} : { latency: settings.latency }),
    ...(wrong.isRoleMissing ? { principals: [] } : {}),
    ...(wrong.resourceTenantId === undefined ? {} : { tenantId: wrong.resourceTenantId }),
  })
  return {
    standIns: [azure, entra, metadata],
    control: { metadata: metadata.url, entra: entra.url, azure: azure.url },
    environment: {
      GOOGLE_CLOUD_PROJECT: GOOGLE.projectId,
      GCE_METADATA_HOST: new URL(metadata.url).host,
      NODE_EXTRA_CA_CERTS: caPath,
      AZURE_AUTHORITY_HOST: entra.url,
      AZURE_TENANT_ID: ENTRA.tenantId,
      AZURE_CLIENT_ID: ENTRA.clientId,
      AZURE_OPENAI_ENDPOINT: azure.url,
      AZURE_OPENAI_DEPLOYMENT: AZURE.deployment,
    },
  }
}

function startPush(settings: Settings, log: CallLog) {
  const ofWorker = settings.isPushing ? [jobsSubscription(settings), deadLetterSubscription(settings)] : []
  const subscriptions = [...ofWorker, ...eventsSubscription(settings)]
  return settings.isRelay
    ? startPushRelay({ log, subscriptions })
    : startPubSubPush({ log, file: settings.state, subscriptions })
}

function credentialsOf({ credential }: z.infer<typeof settingsSchema>['wrong']): FederatedCredential[] {
  if (credential === null) return []
  const { issuer, subject, audience } = OUR_CREDENTIAL
  const wrong = credential ?? {}
  return [{ issuer: wrong.issuer ?? issuer, subject: wrong.subject ?? subject, audience: wrong.audience ?? audience }]
}

const PUSH_SERVICE_ACCOUNT = `push@${GOOGLE.projectId}.iam.gserviceaccount.com`

type Settings = z.infer<typeof settingsSchema>

function jobsSubscription(settings: Settings) {
  const { pushTo, jobsTopic, deadLetterTopic } = settings
  return { ...subscriptionOf(jobsTopic, settings), endpoint: pushTo, deadLetter: { topic: deadLetterTopic } }
}

/** It has no dead-letter policy, because there is no further topic for these messages. */
function deadLetterSubscription(settings: Settings) {
  const endpoint = new URL('/dead-letter', settings.pushTo).href
  return { ...subscriptionOf(settings.deadLetterTopic, settings), endpoint }
}

/** Its endpoint is the caller's own, so the audience is that address, as Pub/Sub has it by default. */
function eventsSubscription({ events }: Settings) {
  if (events === undefined) return []
  return [
    {
      name: `projects/${GOOGLE.projectId}/subscriptions/${events.topic}`,
      ...{ topic: events.topic, endpoint: events.to },
      oidc: { audience: events.to, serviceAccount: PUSH_SERVICE_ACCOUNT },
      retry: EVENT_RETRY,
    },
  ]
}

/** An endpoint under development is soon up again. */
const EVENT_RETRY = { minBackoffMs: 1_000, maxBackoffMs: 60_000 }

/** All pushes have the same audience, which the worker checks. */
function subscriptionOf(topic: string, { pushTo, maxOutstanding, maxPauseMs, ackDeadlineMs, retry }: Settings) {
  return {
    name: `projects/${GOOGLE.projectId}/subscriptions/${topic}-worker`,
    topic,
    oidc: { audience: pushTo, serviceAccount: PUSH_SERVICE_ACCOUNT },
    ackDeadlineMs,
    flow: { maxOutstanding, maxBackoffMs: maxPauseMs },
    ...(retry === undefined ? {} : { retry }),
  }
}

/** A child process ignores Ctrl-C, because the worker of its parent still needs the stand-ins to finish its jobs. */
function shutdownRequested(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const isChild = process.connected
  process.once('SIGTERM', () => resolve())
  process.on('SIGINT', () => isChild || resolve())
  process.once('disconnect', () => resolve())
  return promise
}

await main(process.argv[2])
