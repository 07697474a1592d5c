import { longestSendMs } from '../job/push-time.ts'
import type { TokenReceiver } from './azure-clouds.ts'
import { deploymentListProblems } from './deployments.ts'
import { settings } from './schema.ts'
import { hostProblem, isLoopback, type TokenAddress } from './token-hosts.ts'
import { fullTopicName } from './topic-name.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Secrets that other tools set. They are never read; one in reach is refused, so that none lies around unneeded. */
const SECRETS = [
  'AZURE_OPENAI_API_KEY',
  'AZURE_OPENAI_KEY',
  'OPENAI_API_KEY',
  'OPENAI_ADMIN_KEY',
  'AZURE_OPENAI_AD_TOKEN',
  'AZURE_API_KEY',
  'AZURE_AI_API_KEY',
  'AZURE_INFERENCE_CREDENTIAL',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_PASSWORD',
]

/** Checks rules over several settings. `fromFile`: the names in the settings file. The problems contain no values. */
export function relationProblems(given: Environment, fromFile: readonly string[]): string[] {
  return [
    ...identityProblems(given, fromFile),
    ...pushProblems(given),
    ...deploymentProblems(given),
    ...timeoutProblems(given),
    ...ageProblems(given),
    ...topicProblems(given),
    ...projectProblems(given),
  ]
}

/** The rules of the settings that a token needs. */
export function identityProblems(given: Environment, fromFile: readonly string[]): string[] {
  return [...hostProblems(given, fromFile), ...clientProblems(given)]
}

/** Secrets in reach, which nothing here needs. */
export function secretProblems(given: Environment): string[] {
  return SECRETS.filter((name) => given[name] !== undefined).map(
    (name) => `${name} is set: no key is needed or read here, access is by federated identity. Unset it.`,
  )
}

function clientProblems(given: Environment): string[] {
  if (given['AZURE_CLIENT_ID'] !== undefined || given['TOKEN_SOURCE']?.trim() === 'azure-cli') return []
  return ['AZURE_CLIENT_ID is missing']
}

/** The settings as they are once such secrets are unset. */
export function withoutSecrets(given: Environment): Environment {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isSecret(name)))
}

/** Whether a name is that of a secret which nothing here reads. */
export function isSecret(name: string): boolean {
  return SECRETS.includes(name)
}

/** A setting that is empty counts as absent: so templates and compose files leave one out. */
export function withoutBlanks(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value = '']) => value.trim() !== ''))
}

/** A token can be used by anyone who receives it. An address that is malformed is reported on its own. */
function hostProblems(given: Environment, fromFile: readonly string[]): string[] {
  const cloud = settings.shape.AZURE_CLOUD.safeParse(given['AZURE_CLOUD']).data
  if (cloud === undefined || given['ALLOW_CUSTOM_HOSTS'] === 'true') return []
  return tokenAddresses(given, fromFile).flatMap((address) => hostProblem(address, cloud) ?? [])
}

function tokenAddresses(given: Environment, fromFile: readonly string[]): TokenAddress[] {
  const { AZURE_AUTHORITY_HOST, AZURE_OPENAI_ENDPOINT, DEPLOYMENTS } = settings.shape
  const authority = AZURE_AUTHORITY_HOST.safeParse(given['AZURE_AUTHORITY_HOST']).data
  const endpoint = AZURE_OPENAI_ENDPOINT.safeParse(given['AZURE_OPENAI_ENDPOINT']).data
  const several = DEPLOYMENTS.safeParse(given['DEPLOYMENTS']).data ?? []
  const addressOf = (receiver: TokenReceiver, setting: string, url: string | undefined, place = ''): TokenAddress[] =>
    url === undefined
      ? []
      : [{ name: setting + place, receiver, url: new URL(url), isFromFile: fromFile.includes(setting) }]
  return [
    ...addressOf('authority', 'AZURE_AUTHORITY_HOST', authority),
    ...addressOf('resource', 'AZURE_OPENAI_ENDPOINT', endpoint),
    ...several.flatMap((one, at) => addressOf('resource', 'DEPLOYMENTS', one.endpoint, `: [${at}].endpoint`)),
  ]
}

/** Without PUSH_AUTH, a worker on a SQLite file accepts no push: it delivers the file's messages itself. */
function pushProblems(given: Environment): string[] {
  const isSqlite = settings.shape.STORE.safeParse(given['STORE']).data?.kind === 'sqlite'
  if (isSqlite && given['PUSH_AUTH'] === undefined) return []
  if (given['PUSH_AUTH'] === 'off') {
    if (isLoopback(given['HOST'] ?? '0.0.0.0')) return []
    return ['PUSH_AUTH can be off only where HOST is 127.0.0.1: anyone who reaches the worker could spend your quota']
  }
  return ['PUSH_AUDIENCE', 'PUSH_SERVICE_ACCOUNT']
    .filter((name) => given[name] === undefined)
    .map((name) => `${name} is missing: every push is checked against it`)
}

function deploymentProblems(given: Environment): string[] {
  const single = ['AZURE_OPENAI_ENDPOINT', 'AZURE_OPENAI_DEPLOYMENT']
  if (given['DEPLOYMENTS'] === undefined) {
    return single
      .filter((name) => given[name] === undefined)
      .map((name) => `${name} is missing (or give several in DEPLOYMENTS)`)
  }
  const both = single.filter((name) => given[name] !== undefined)
  const beside = both.map((name) => `${name} stands beside DEPLOYMENTS: give one or the other`)
  return [...beside, ...deploymentListProblems(settings.shape.DEPLOYMENTS.safeParse(given['DEPLOYMENTS']).data ?? [])]
}

/** A delivery that has less than MODEL_TIMEOUT_SECONDS left starts no job. */
function timeoutProblems(given: Environment): string[] {
  const most = longestSendMs(numberOf('ACK_DEADLINE_SECONDS', given) * 1_000) / 1_000
  if (!(numberOf('MODEL_TIMEOUT_SECONDS', given) > most)) return []
  const advice = `Set it to ${Math.floor(most)} at most, or set a longer ACK_DEADLINE_SECONDS.`
  return [`MODEL_TIMEOUT_SECONDS is longer than ACK_DEADLINE_SECONDS leaves to a job after its start. ${advice}`]
}

/**
 * As long as its message may be published again, a job's record has to be there: without one it is asked, and paid for,
 * again. Equal is enough: a record lives from the settle on, a job's age counts from before that.
 */
function ageProblems(given: Environment): string[] {
  if (!(numberOf('RECORD_TTL_DAYS', given) < numberOf('MAX_JOB_AGE_DAYS', given))) return []
  const advice = 'Set it to MAX_JOB_AGE_DAYS or more.'
  return [`RECORD_TTL_DAYS is shorter than MAX_JOB_AGE_DAYS: a job whose record is gone is paid for again. ${advice}`]
}

const TOPICS = ['JOBS_TOPIC', 'DEAD_LETTER_TOPIC', 'EVENTS_TOPIC'] as const

function topicProblems(given: Environment): string[] {
  const project = given['GOOGLE_CLOUD_PROJECT']?.trim() ?? ''
  const topics = TOPICS.flatMap((name) => {
    const topic = settings.shape[name].safeParse(given[name]).data
    return topic === undefined ? [] : [{ name, topic: fullTopicName(topic, project) }]
  })
  const pairs = topics.flatMap((one, index) => topics.slice(index + 1).map((other) => [one, other] as const))
  return pairs
    .filter(([one, other]) => one.topic === other.topic)
    .map(([one, other]) => `${other.name} is the same topic as ${one.name}: each needs a topic of its own`)
}

type WholeNumber = 'ACK_DEADLINE_SECONDS' | 'MODEL_TIMEOUT_SECONDS' | 'MAX_JOB_AGE_DAYS' | 'RECORD_TTL_DAYS'

/** NaN, which is neither more nor less than any number, where the setting itself is wrong. */
function numberOf(name: WholeNumber, given: Environment): number {
  return settings.shape[name].safeParse(given[name]).data ?? Number.NaN
}

export function projectProblems(given: Environment): string[] {
  if (given['GOOGLE_CLOUD_PROJECT'] !== undefined || (given['STORE'] ?? 'firestore') !== 'firestore') return []
  return ['GOOGLE_CLOUD_PROJECT is missing: Firestore and Pub/Sub belong to a project']
}
