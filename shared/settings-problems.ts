import { isLoopback, settings } from './settings.ts'

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

/** What no single setting can tell of itself. Holds no value. */
export function relationProblems(given: Environment): string[] {
  return [
    ...clientProblems(given),
    ...pushProblems(given),
    ...deploymentProblems(given),
    ...timeoutProblems(given),
    ...projectProblems(given),
  ]
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
  return Object.fromEntries(Object.entries(given).filter(([name]) => !SECRETS.includes(name)))
}

function pushProblems(given: Environment): string[] {
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
  return both.map((name) => `${name} stands beside DEPLOYMENTS: give one or the other`)
}

function timeoutProblems(given: Environment): string[] {
  const { MODEL_TIMEOUT_SECONDS, ACK_DEADLINE_SECONDS } = settings.shape
  const model = MODEL_TIMEOUT_SECONDS.safeParse(given['MODEL_TIMEOUT_SECONDS'])
  const ack = ACK_DEADLINE_SECONDS.safeParse(given['ACK_DEADLINE_SECONDS'])
  if (!model.success || !ack.success || model.data <= ack.data) return []
  return ['MODEL_TIMEOUT_SECONDS is longer than ACK_DEADLINE_SECONDS: the answer would come when nobody waits for it']
}

export function projectProblems(given: Environment): string[] {
  if (given['GOOGLE_CLOUD_PROJECT'] !== undefined || (given['STORE'] ?? 'firestore') !== 'firestore') return []
  return ['GOOGLE_CLOUD_PROJECT is missing: Firestore and Pub/Sub belong to a project']
}
