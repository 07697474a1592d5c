import { z } from 'zod'
import { bodyFieldNames } from '../job/body-fields.ts'
import { closestName } from '../lib/did-you-mean.ts'
import { azureCloudNames } from './azure-clouds.ts'
import { isLoopback } from './token-hosts.ts'

const text = z.string().trim().min(1)
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max)
const withoutSlash = (url: string) => url.replace(/\/+$/, '')
/** Written as it is parsed here, so that no other parser reads another host in it. */
const urlOf = (protocol: RegExp, error: string) =>
  z
    .url({ protocol, error, normalize: true })
    .refine((url) => !URL.parse(url)?.username && !URL.parse(url)?.password, 'must hold no user name and no password')
    .transform(withoutSlash)
const httpsUrl = urlOf(/^https$/, 'must be an https URL')
/** https, or plain http on this machine. */
const webUrl = urlOf(/^https?$/, 'must be a URL').refine(
  (url) => url.startsWith('https:') || isLoopback(URL.parse(url)?.hostname ?? ''),
  'must be https',
)

/** Azure's own spelling of a version: its date, and whether it is a preview. */
const apiVersion = text.regex(
  /^\d{4}-\d{2}-\d{2}(-preview)?$/,
  'must be a dated version such as 2024-10-21, or be left out for the v1 API',
)

/** A region's address serves all resources in it, and takes their keys alone: REGION.api.cognitive.microsoft.com. */
const REGIONAL = /(^|\.)api\.cognitive\.(microsoft|azure)\.[a-z]+\.?$/
const NOT_REGIONAL =
  'is the address of a region, which refuses Entra tokens. Give the resource a custom subdomain (az cognitiveservices account update --custom-domain NAME), and use https://NAME.openai.azure.com'

/** The resource's own address: the portal shows it with the API's path as well. */
const azureEndpoint = webUrl
  .transform((url) => url.replace(/\/openai(\/v1)?$/, ''))
  .refine((url) => !REGIONAL.test(URL.parse(url)?.hostname ?? ''), NOT_REGIONAL)

const MOST_OUTPUT_TOKENS = 10_000_000

const deploymentFields = {
  provider: z.literal('azure-openai', 'must be azure-openai').default('azure-openai'),
  name: text.max(100).optional(),
  model: text,
  endpoint: azureEndpoint,
  deployment: text,
  priority: z.number().int().default(1),
  rpm: z.number().positive().optional(),
  tpm: z.number().positive().optional(),
  maxOutputTokens: z.number().int().min(1).max(MOST_OUTPUT_TOKENS).optional(),
}
const deployment = z.strictObject(deploymentFields, {
  error: (issue) => (issue.code === 'unrecognized_keys' ? issue.keys.map(sayUnknownField).join(', ') : undefined),
})
/** An Azure OpenAI deployment and the model name that jobs know it by. Lower priorities are asked first. */
export type DeploymentSetting = z.infer<typeof deployment>

const sayUnknownField = (name: string) => sayUnknownName(name, Object.keys(deploymentFields))

/** What is not written as a name may be a secret that was pasted there. */
function sayUnknownName(name: string, known: readonly string[]): string {
  const meant = closestName(name, known)
  const said = /^[\w.]{1,40}$/.test(name) ? `unknown field "${name}"` : 'a field that is unknown'
  return meant === undefined ? said : `${said}; did you mean "${meant}"?`
}

const deployments = z.string().transform((json, context) => {
  try {
    return z.array(deployment).min(1).parse(JSON.parse(json))
  } catch (error) {
    const message = error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : 'is not JSON'
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  }
})

const OTHER_FIELD = 'a field that this version does not know is named other.NAME'

/** Names of what bodies may ask for, separated by commas. */
const bodyFields = z.string().transform((list, context) => {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const unknown = names.filter((name) => !bodyFieldNames.includes(name) && !/^other\.[\w.-]{1,64}$/.test(name))
  for (const name of unknown) context.addIssue(`${sayUnknownName(name, bodyFieldNames)} (${OTHER_FIELD})`)
  return unknown.length === 0 ? names : z.NEVER
})

/** https://cloud.google.com/firestore/docs/manage-databases#database_id */
const firestoreDatabase = text.regex(
  /^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$/,
  'must be (default), or 4 to 63 lower-case letters, digits and hyphens that begin with a letter',
)

/** Where records are kept; the queue follows it. */
const store = z
  .string()
  .regex(/^(firestore|sqlite:.+)$/, 'must be firestore or sqlite:PATH')
  .transform((value) =>
    value === 'firestore'
      ? { kind: 'firestore' as const }
      : { kind: 'sqlite' as const, path: value.slice('sqlite:'.length) },
  )

/** Who speaks for the worker: the machine's own service account, one that the caller may impersonate, or the caller. */
export type TokenSource =
  | { readonly kind: 'metadata-server' }
  | { readonly kind: 'impersonate'; readonly serviceAccount: string }
  | { readonly kind: 'azure-cli' }

const tokenSource = text
  .regex(
    /^(metadata-server|azure-cli|impersonate:[\w.-]+@[\w.-]+\.gserviceaccount\.com)$/,
    'must be metadata-server, azure-cli, or impersonate: and the e-mail of a service account',
  )
  .transform((value): TokenSource => {
    if (value === 'metadata-server' || value === 'azure-cli') return { kind: value }
    return { kind: 'impersonate', serviceAccount: value.slice('impersonate:'.length) }
  })

/** Every setting there is; docs/settings.md is generated from it. */
export const settings = z.object({
  HOST: text.default('0.0.0.0'),
  PORT: whole(0, 65_535).default(8080),
  GOOGLE_CLOUD_PROJECT: text.optional(),
  AZURE_TENANT_ID: text,
  AZURE_CLIENT_ID: z.uuid('must be the application (client) id, a UUID').optional(),
  TOKEN_SOURCE: tokenSource.prefault('metadata-server'),
  AZURE_CLOUD: z.enum(azureCloudNames).default('public'),
  AZURE_AUTHORITY_HOST: httpsUrl.optional(),
  AZURE_FEDERATED_AUDIENCE: text.optional(),
  AZURE_OPENAI_SCOPE: text.optional(),
  AZURE_OPENAI_ENDPOINT: azureEndpoint.optional(),
  AZURE_OPENAI_DEPLOYMENT: text.optional(),
  OPENAI_API_VERSION: apiVersion.optional(),
  DEPLOYMENTS: deployments.optional(),
  ALLOW_CUSTOM_HOSTS: z.enum(['true', 'false']).default('false'),
  PUSH_AUTH: z.enum(['verify', 'cloud-run-iam', 'off']).default('verify'),
  PUSH_AUDIENCE: text.optional(),
  PUSH_SERVICE_ACCOUNT: text.optional(),
  PUSH_CERTS_URL: webUrl.default('https://www.googleapis.com/oauth2/v3/certs'),
  JOBS_TOPIC: text.default('promptbridge-jobs'),
  DEAD_LETTER_TOPIC: text.default('promptbridge-dead-letter'),
  EVENTS_TOPIC: text.optional(),
  STORE: store.prefault('firestore'),
  FIRESTORE_DATABASE: firestoreDatabase.default('(default)'),
  ACK_DEADLINE_SECONDS: whole(10, 600).default(600),
  MODEL_TIMEOUT_SECONDS: whole(1, 290).default(120),
  MAX_ATTEMPTS: whole(1, 100).default(5),
  ON_UNKNOWN: z.enum(['retry', 'dead-letter']).default('retry'),
  MAX_IN_FLIGHT: whole(1, 10_000).default(100),
  MAX_IN_FLIGHT_BYTES: whole(1_000_000, 100_000_000_000).default(32_000_000),
  MAX_OUTPUT_TOKENS: whole(1, MOST_OUTPUT_TOKENS).optional(),
  ALLOW_BODY_FIELDS: bodyFields.optional(),
  DAILY_TOKEN_LIMIT: whole(1, Number.MAX_SAFE_INTEGER).optional(),
  MAX_JOB_AGE_DAYS: whole(1, 3_650).default(7),
  RECORD_TTL_DAYS: whole(1, 3_650).default(30),
  LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
})
