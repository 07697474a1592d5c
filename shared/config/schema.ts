import { z } from 'zod'
import { azureCloudNames } from './azure-clouds.ts'
import {
  apiVersion,
  azureEndpoint,
  bodyFields,
  deployments,
  firestoreDatabase,
  httpsUrl,
  MOST_OUTPUT_TOKENS,
  store,
  text,
  tokenSource,
  webUrl,
  whole,
} from './setting-values.ts'

/** A job may ask for so many output tokens where nothing else is set. */
export const DEFAULT_OUTPUT_TOKENS = 32_768

/** Every setting there is. docs/settings.md and the file of `init` are generated from it and its `meta`; describe-settings.ts has the fields of `meta`. */
export const settings = z.object({
  HOST: text.default('0.0.0.0').meta({ subject: 'process', description: 'The address to listen on.' }),
  PORT: whole(0, 65_535).default(8080).meta({ subject: 'process', description: 'The port to listen on.' }),
  GOOGLE_CLOUD_PROJECT: text.optional().meta({
    subject: 'storage',
    description: 'The project of Firestore, of Pub/Sub and of the traces in the log.',
    absent: 'required, unless `STORE=sqlite:PATH`',
  }),
  AZURE_TENANT_ID: text.meta({ subject: 'identity', description: 'The Entra tenant of the app registration.' }),
  AZURE_CLIENT_ID: z.uuid('must be the application (client) id, a UUID').optional().meta({
    subject: 'identity',
    description: 'The application (client) id of the app registration.',
    absent: 'required, unless `TOKEN_SOURCE=azure-cli`',
    values: 'a UUID',
  }),
  TOKEN_SOURCE: tokenSource.prefault('metadata-server').meta({
    subject: 'identity',
    description: 'Where the identity of the worker comes from.',
    values: '`metadata-server`, `impersonate:EMAIL`, `azure-cli`',
  }),
  AZURE_CLOUD: z.enum(azureCloudNames).default('public').meta({ subject: 'identity', description: 'The Azure cloud.' }),
  AZURE_AUTHORITY_HOST: httpsUrl.optional().meta({
    subject: 'identity',
    description: 'The address of Entra, a host of the cloud.',
    absent: "the cloud's",
    values: 'an https URL',
  }),
  AZURE_FEDERATED_AUDIENCE: text
    .optional()
    .meta({ subject: 'identity', description: 'The audience of the federated credential.', absent: "the cloud's" }),
  AZURE_OPENAI_SCOPE: text
    .optional()
    .meta({ subject: 'identity', description: 'The scope of the token for Azure OpenAI.', absent: "the cloud's" }),
  AZURE_OPENAI_ENDPOINT: azureEndpoint.optional().meta({
    subject: 'deployments',
    description: 'The endpoint of the Azure OpenAI resource.',
    absent: 'required, or `DEPLOYMENTS`',
    values: '`https://NAME.openai.azure.com`',
  }),
  AZURE_OPENAI_DEPLOYMENT: text.optional().meta({
    subject: 'deployments',
    description: 'The only deployment: it serves its own name, and jobs without a model.',
    absent: 'required, or `DEPLOYMENTS`',
  }),
  OPENAI_API_VERSION: apiVersion.optional().meta({
    subject: 'deployments',
    description: 'The version of the API, for all deployments.',
    absent: 'the v1 API',
    values: 'a date, such as `2024-10-21`',
  }),
  DEPLOYMENTS: deployments
    .optional()
    .meta({ subject: 'deployments', description: 'Several deployments.', values: 'a JSON array' }),
  ALLOW_CUSTOM_HOSTS: z
    .enum(['true', 'false'])
    .default('false')
    .meta({ subject: 'identity', description: 'Whether tokens may be sent to any https host that the settings name.' }),
  PUSH_AUTH: z.enum(['verify', 'cloud-run-iam', 'off']).optional().meta({
    subject: 'push',
    description: 'How the sender of a push is checked.',
    absent: '`verify`; with `STORE=sqlite:PATH` no push is accepted',
  }),
  PUSH_AUDIENCE: text.optional().meta({
    subject: 'push',
    description: 'The audience of the push subscriptions.',
    absent: 'required where pushes are checked',
  }),
  PUSH_SERVICE_ACCOUNT: text.optional().meta({
    subject: 'push',
    description: 'The service account that the subscriptions push as.',
    absent: 'required where pushes are checked',
    values: 'an e-mail address',
  }),
  PUSH_CERTS_URL: webUrl
    .default('https://www.googleapis.com/oauth2/v3/certs')
    .meta({ subject: 'push', description: 'The address of the keys that verify a push.', values: 'a URL' }),
  JOBS_TOPIC: text.default('promptbridge-jobs').meta({ subject: 'storage', description: 'The topic of the jobs.' }),
  DEAD_LETTER_TOPIC: text
    .default('promptbridge-dead-letter')
    .meta({ subject: 'storage', description: 'The topic of the messages that failed.' }),
  EVENTS_TOPIC: text
    .optional()
    .meta({ subject: 'storage', description: 'The topic of the events.', absent: 'no events' }),
  STORE: store
    .prefault('firestore')
    .meta({ subject: 'storage', description: 'Where records and messages are.', values: '`firestore`, `sqlite:PATH`' }),
  FIRESTORE_DATABASE: firestoreDatabase
    .default('(default)')
    .meta({ subject: 'storage', description: 'The id of the Firestore database, for the worker and the commands.' }),
  ACK_DEADLINE_SECONDS: whole(10, 600).default(600).meta({
    subject: 'time',
    description: 'The acknowledgement deadline of the subscription; a job may use 95 % of it.',
    unit: 'seconds',
  }),
  MODEL_TIMEOUT_SECONDS: whole(1, 290)
    .default(120)
    .meta({ subject: 'time', description: 'The longest time for one request to the model.', unit: 'seconds' }),
  MAX_ATTEMPTS: whole(1, 100).default(5).meta({
    subject: 'time',
    description: 'How many attempts of unknown outcome a job may have before it is dead-lettered.',
  }),
  ON_UNKNOWN: z
    .enum(['retry', 'dead-letter'])
    .default('retry')
    .meta({ subject: 'time', description: 'What follows an attempt of unknown outcome.' }),
  MAX_IN_FLIGHT: whole(1, 10_000)
    .default(100)
    .meta({ subject: 'limits', description: 'How many jobs run at once; further pushes are deferred.', unit: 'jobs' }),
  MAX_IN_FLIGHT_BYTES: whole(1_000_000, 100_000_000_000).default(32_000_000).meta({
    subject: 'limits',
    description: 'The size of all pushes and awaited answers at once; further jobs are deferred.',
    unit: 'bytes',
  }),
  MAX_OUTPUT_TOKENS: whole(1, MOST_OUTPUT_TOKENS)
    .optional()
    .meta({
      subject: 'limits',
      description: 'The most output tokens that a job may ask for.',
      unit: 'tokens',
      absent: `\`${DEFAULT_OUTPUT_TOKENS}\``,
    }),
  ALLOW_BODY_FIELDS: bodyFields.optional().meta({
    subject: 'limits',
    description: 'What bodies may ask for beyond an answer.',
    absent: 'nothing',
    values: 'names, separated by commas',
  }),
  DAILY_TOKEN_LIMIT: whole(1, Number.MAX_SAFE_INTEGER).optional().meta({
    subject: 'limits',
    description: 'The most tokens that the jobs of a day may use, from 00:00 UTC.',
    unit: 'tokens',
    absent: 'no limit',
  }),
  MAX_JOB_AGE_DAYS: whole(1, 3_650)
    .default(7)
    .meta({ subject: 'time', description: 'The age at which a job that is still deferred ends.', unit: 'days' }),
  RECORD_TTL_DAYS: whole(1, 3_650)
    .default(30)
    .meta({ subject: 'storage', description: 'How long a settled record or a dead letter is kept.', unit: 'days' }),
  PRICES_FILE: text.optional().meta({
    subject: 'process',
    description: 'A file of prices, which replace the built-in ones of the same models.',
    absent: 'the built-in prices',
    values: 'the path of a JSON file',
  }),
  LOG_LEVEL: z
    .enum(['debug', 'info', 'warn', 'error'])
    .default('info')
    .meta({ subject: 'process', description: 'The lowest level that is logged.' }),
})
