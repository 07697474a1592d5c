import type { z } from 'zod'
import type { RetryPolicy } from '../job/failures.ts'
import { azureClouds } from './azure-clouds.ts'
import { ConfigError } from './config-error.ts'
import { type Deployment, nameDeployments } from './deployments.ts'
import {
  type Environment,
  identityProblems,
  projectProblems,
  relationProblems,
  secretProblems,
  withoutBlanks,
} from './rules.ts'
import { DEFAULT_OUTPUT_TOKENS, settings } from './schema.ts'
import type { DeploymentSetting, TokenSource } from './setting-values.ts'

const DAY_MS = 86_400_000

export type PushAuth =
  /** No push is accepted. */
  | { readonly mode: 'none' }
  /** Every push is accepted. */
  | { readonly mode: 'off' }
  | CheckedPushes

export interface CheckedPushes {
  readonly mode: 'verify' | 'cloud-run-iam'
  readonly audience: string
  readonly serviceAccount: string
}

/** The location of the records and of the queue. */
export type StoreConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'firestore'; readonly project: string; readonly database?: string }

/** The configuration of the worker. Times are milliseconds. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly project: string | undefined
  readonly federation: {
    readonly tenantId: string
    /** Empty if the Azure CLI provides the tokens, which needs none. */
    readonly clientId: string
    readonly authorityHost: string
    readonly audience: string
    readonly scope: string
  }
  readonly tokenSource: TokenSource
  /** GCE_METADATA_HOST, if it is set. */
  readonly metadataHost: string | undefined
  /** The first to be asked stands first. Each has the limit that was set for it, MAX_OUTPUT_TOKENS included. */
  readonly deployments: readonly Deployment[]
  /** Of all deployments; undefined: Azure's v1 API. */
  readonly apiVersion: string | undefined
  readonly pushAuth: PushAuth
  readonly pushCertsUrl: string
  /** Whether the worker delivers the messages of its SQLite file itself. Otherwise they are pushed to it. */
  readonly deliversItself: boolean
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  /** Undefined: no events. */
  readonly eventsTopic: string | undefined
  readonly store: StoreConfig
  readonly ackDeadlineMs: number
  readonly modelTimeoutMs: number
  readonly retry: RetryPolicy
  readonly maxInFlight: number
  readonly maxInFlightBytes: number
  readonly maxOutputTokens: number
  /** Names of body fields, as bodyFieldNames has them. */
  readonly allowedBodyFields: readonly string[]
  /** Undefined: a day's jobs may take any number. */
  readonly dailyTokenLimit: number | undefined
  /** The maximum age of a deferred job. */
  readonly maxJobAgeMs: number
  readonly resultTtlMs: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Undefined: the built-in prices. */
  readonly pricesFile: string | undefined
}

/** What is known of the settings file that some of the settings are from. */
export interface FileOrigin {
  /** What is wrong with it, a line for each problem. */
  readonly fileProblems?: readonly string[]
  /** The settings that are from it. */
  readonly fromFile?: readonly string[]
}

/** Reads the settings. Throws ConfigError. */
export function readConfig(environment: Environment, { fileProblems = [], fromFile = [] }: FileOrigin = {}): Config {
  const given = withoutBlanks(environment)
  const parsed = settings.safeParse(given)
  const problems = [
    ...fileProblems,
    ...secretProblems(given),
    ...(parsed.error?.issues ?? []).map((issue) => sayIssue(issue, given)),
    ...relationProblems(given, fromFile),
  ]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  return toConfig(parsed.data, given['GCE_METADATA_HOST'])
}

/** What a command needs to get a token. */
export type IdentityConfig = Pick<Config, 'federation' | 'tokenSource' | 'metadataHost'>

const identitySettings = settings.pick({
  AZURE_TENANT_ID: true,
  AZURE_CLIENT_ID: true,
  TOKEN_SOURCE: true,
  AZURE_CLOUD: true,
  AZURE_AUTHORITY_HOST: true,
  AZURE_FEDERATED_AUDIENCE: true,
  AZURE_OPENAI_SCOPE: true,
})

/** Reads only the settings of the identity. Otherwise like `readConfig`. */
export function readIdentityConfig(
  environment: Environment,
  { fileProblems = [], fromFile = [] }: FileOrigin = {},
): IdentityConfig {
  const given = withoutBlanks(environment)
  const parsed = identitySettings.safeParse(given)
  const issues = (parsed.error?.issues ?? []).map((issue) => sayIssue(issue, given))
  const problems = [...fileProblems, ...secretProblems(given), ...issues, ...identityProblems(given, fromFile)]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  return identityOf(parsed.data, given['GCE_METADATA_HOST'])
}

/** What a command needs to find the jobs. */
export interface StoresConfig {
  readonly store: StoreConfig
  readonly jobsTopic: string
  readonly resultTtlMs: number
}

const storeSettings = settings.pick({
  STORE: true,
  FIRESTORE_DATABASE: true,
  GOOGLE_CLOUD_PROJECT: true,
  JOBS_TOPIC: true,
  RECORD_TTL_DAYS: true,
})

/** Reads only the settings that locate the stores. Otherwise like `readConfig`. */
export function readStoresConfig(environment: Environment, { fileProblems = [] }: FileOrigin = {}): StoresConfig {
  const given = withoutBlanks(environment)
  const parsed = storeSettings.safeParse(given)
  const issues = (parsed.error?.issues ?? []).map((issue) => sayIssue(issue, given))
  const problems = [...fileProblems, ...issues, ...projectProblems(given)]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const { JOBS_TOPIC: jobsTopic, RECORD_TTL_DAYS } = parsed.data
  return { store: storeOf(parsed.data), jobsTopic, resultTtlMs: RECORD_TTL_DAYS * DAY_MS }
}

function sayIssue({ path, message }: z.core.$ZodIssue, given: Environment): string {
  const name = path.join('.')
  return given[name] === undefined ? `${name} is missing` : `${name}: ${message}`
}

function identityOf(given: z.infer<typeof identitySettings>, metadataHost: string | undefined): IdentityConfig {
  const cloud = azureClouds[given.AZURE_CLOUD]
  return {
    federation: {
      tenantId: given.AZURE_TENANT_ID,
      clientId: given.AZURE_CLIENT_ID ?? '',
      authorityHost: given.AZURE_AUTHORITY_HOST ?? cloud.authorityHost,
      audience: given.AZURE_FEDERATED_AUDIENCE ?? cloud.federatedAudience,
      scope: given.AZURE_OPENAI_SCOPE ?? cloud.openAIScope,
    },
    tokenSource: given.TOKEN_SOURCE,
    metadataHost,
  }
}

function toConfig(given: z.infer<typeof settings>, metadataHost: string | undefined): Config {
  const store = storeOf(given)
  const pushAuth = pushAuthOf(given)
  return {
    ...identityOf(given, metadataHost),
    host: given.HOST,
    port: given.PORT,
    project: given.GOOGLE_CLOUD_PROJECT,
    deployments: nameDeployments(deploymentsOf(given)).map((each) => withLimit(each, given.MAX_OUTPUT_TOKENS)),
    apiVersion: given.OPENAI_API_VERSION,
    pushAuth,
    pushCertsUrl: given.PUSH_CERTS_URL,
    deliversItself: store.kind === 'sqlite' && !('audience' in pushAuth),
    jobsTopic: given.JOBS_TOPIC,
    deadLetterTopic: given.DEAD_LETTER_TOPIC,
    eventsTopic: given.EVENTS_TOPIC,
    store,
    ackDeadlineMs: given.ACK_DEADLINE_SECONDS * 1_000,
    modelTimeoutMs: given.MODEL_TIMEOUT_SECONDS * 1_000,
    retry: { maxAttempts: given.MAX_ATTEMPTS, onUnknown: given.ON_UNKNOWN },
    maxInFlight: given.MAX_IN_FLIGHT,
    maxInFlightBytes: given.MAX_IN_FLIGHT_BYTES,
    maxOutputTokens: given.MAX_OUTPUT_TOKENS ?? DEFAULT_OUTPUT_TOKENS,
    allowedBodyFields: given.ALLOW_BODY_FIELDS ?? [],
    dailyTokenLimit: given.DAILY_TOKEN_LIMIT,
    maxJobAgeMs: given.MAX_JOB_AGE_DAYS * DAY_MS,
    resultTtlMs: given.RECORD_TTL_DAYS * DAY_MS,
    logLevel: given.LOG_LEVEL,
    pricesFile: given.PRICES_FILE,
  }
}

/** One deployment serves its own name; of several the lowest priority stands first. */
function deploymentsOf({
  DEPLOYMENTS,
  AZURE_OPENAI_ENDPOINT,
  AZURE_OPENAI_DEPLOYMENT,
}: z.infer<typeof settings>): DeploymentSetting[] {
  if (DEPLOYMENTS !== undefined) return DEPLOYMENTS.toSorted((a, b) => a.priority - b.priority)
  if (AZURE_OPENAI_ENDPOINT === undefined || AZURE_OPENAI_DEPLOYMENT === undefined) return []
  const name = AZURE_OPENAI_DEPLOYMENT
  return [{ provider: 'azure-openai', model: name, endpoint: AZURE_OPENAI_ENDPOINT, deployment: name, priority: 1 }]
}

function withLimit(deployment: Deployment, limit: number | undefined): Deployment {
  return limit === undefined ? deployment : { maxOutputTokens: limit, ...deployment }
}

function pushAuthOf(given: z.infer<typeof settings>): PushAuth {
  const { PUSH_AUDIENCE: audience = '', PUSH_SERVICE_ACCOUNT: serviceAccount = '', STORE } = given
  const mode = given.PUSH_AUTH ?? (STORE.kind === 'sqlite' ? 'none' : 'verify')
  return mode === 'none' || mode === 'off' ? { mode } : { mode, audience, serviceAccount }
}

function storeOf(given: z.infer<typeof storeSettings>): StoreConfig {
  const { STORE, GOOGLE_CLOUD_PROJECT: project = '', FIRESTORE_DATABASE: database } = given
  return STORE.kind === 'sqlite' ? STORE : { kind: STORE.kind, project, database }
}
