import type { CheckedPushes, Config, FileOrigin } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { defined } from '../../shared/lib/defined.ts'
import { emulatorsIn } from '../../shared/stores/open.ts'
import { checkDeployments } from './check-azure-openai.ts'
import { checkEmbeddedQueue } from './check-embedded-queue.ts'
import { checkGrants, invokerGrant } from './check-grants.ts'
import { checkIdentity, type Identity, skipIdentity } from './check-identity.ts'
import { checkInvokers, type ServiceAccess } from './check-invokers.ts'
import { checkLogin } from './check-login.ts'
import { checkPrices } from './check-prices.ts'
import { checkQueue, QUEUE_STEPS } from './check-queue.ts'
import { checkSettings, type FoundSettings, type Usable } from './check-settings.ts'
import { checkStore } from './check-store.ts'
import { checkSweep } from './check-sweep.ts'
import type { Asker } from './google-answers.ts'
import { type LiveService, readLiveSettings } from './read-live-settings.ts'
import { createPolicyReader, type ReadPolicy } from './read-policy.ts'
import { type Checks, type Step, startChecks } from './step.ts'

export interface DoctorOptions {
  /** E-mail of the worker's service account, to impersonate. */
  readonly serviceAccount?: string
  /** The service whose settings are read instead of our own. */
  readonly live?: LiveService
}

export interface DoctorDependencies {
  /** Our own settings, and the file that some of them come from. */
  readonly environment: Environment
  readonly file?: FileOrigin
  readonly now: Clock
  readonly newId: () => string
  /** Receives each step as soon as its result is known. */
  readonly onStep: (step: Step) => void
  /** Addresses of the IAM Credentials API, of Cloud Run's Admin API, and of the APIs that return policies; Google's own when absent. */
  readonly iamEndpoint?: string
  readonly runEndpoint?: string
  readonly policyEndpoint?: string
}

/** Runs all checks, from the settings to the pushes, and resolves with their results. A failed check does not reject. */
export async function runDoctor(options: DoctorOptions, dependencies: DoctorDependencies): Promise<readonly Step[]> {
  const checks = startChecks(dependencies.onStep)
  const found = await findSettings(checks, options, dependencies)
  if (found === undefined) return checks.steps
  const usable = (await checks.run('settings', async () => checkSettings(found))) ?? {}
  await checkPrices(checks, found.environment, options.live?.name)
  const identity = await checkAzure(checks, usable.config, found.isElsewhere, dependencies)
  await checkGoogle(checks, usable, identity, dependencies)
  const pushAuth = pushesOf(usable.config)
  if (options.live !== undefined && pushAuth !== undefined) {
    const access = { service: options.live, pushAuth, invokerCheckDisabled: found.invokerCheckDisabled }
    await checkCallers(checks, access, createPolicyReader(dependencies.policyEndpoint))
  }
  return checks.steps
}

function pushesOf(config: Config | undefined): CheckedPushes | undefined {
  const pushAuth = config?.pushAuth
  return pushAuth !== undefined && 'audience' in pushAuth ? pushAuth : undefined
}

/** Checks that pushes may call the service, and that no other caller may. */
async function checkCallers(checks: Checks, access: ServiceAccess, read: ReadPolicy): Promise<void> {
  await checkGrants(checks, [invokerGrant(access.service, access.pushAuth.serviceAccount)], read)
  await checks.run('grant: only pushes may call the service', (signal) => checkInvokers(access, read, signal))
}

interface SettingsOf extends FoundSettings {
  /** Whether the checked settings belong to a process that runs as another account. */
  readonly isElsewhere: boolean
  readonly invokerCheckDisabled: boolean
}

/** The settings to check, and their source. */
async function findSettings(
  checks: Checks,
  { live, serviceAccount }: DoctorOptions,
  { environment, file = {}, runEndpoint }: DoctorDependencies,
): Promise<SettingsOf | undefined> {
  const impersonating = (account: string) => ({ TOKEN_SOURCE: `impersonate:${account}` })
  if (live === undefined) {
    const own = serviceAccount === undefined ? {} : impersonating(serviceAccount)
    const from = 'environment and settings file'
    const here = { isElsewhere: false, invokerCheckDisabled: false }
    return { environment: { ...environment, ...own }, file, from, ...here }
  }
  const read = await checks.run('live service', (signal) => readLiveSettings(live, signal, runEndpoint))
  if (read === undefined) {
    checks.report('settings', { ok: null, seen: 'the live settings could not be read, so nothing else was checked' })
    return undefined
  }
  const account = serviceAccount ?? read.serviceAccount
  const { environment: theirs, file: origin } = trustIn(read.environment, environment, file)
  const isElsewhere = !read.environment['TOKEN_SOURCE']?.startsWith('impersonate:')
  const { invokerCheckDisabled } = read
  return {
    environment: { ...theirs, ...impersonating(account) },
    file: origin,
    from: `Cloud Run service ${live.name}`,
    isElsewhere,
    invokerCheckDisabled,
  }
}

/**
 * The settings file may name a project of somebody else, whose service could allow hosts that then receive tokens. So the
 * settings of such a service are trusted no more than those of the file.
 */
function trustIn(
  theirs: Environment,
  { ALLOW_CUSTOM_HOSTS }: Environment,
  { fromFile = [] }: FileOrigin,
): Pick<FoundSettings, 'environment' | 'file'> {
  if (!fromFile.includes('GOOGLE_CLOUD_PROJECT')) return { environment: theirs, file: {} }
  return { environment: { ...theirs, ALLOW_CUSTOM_HOSTS }, file: { fromFile: Object.keys(theirs) } }
}

async function checkAzure(
  checks: Checks,
  config: Config | undefined,
  isElsewhere: boolean,
  { now, newId, iamEndpoint }: DoctorDependencies,
): Promise<Identity> {
  if (config === undefined) {
    skipIdentity(checks, 'not checked: the settings are incomplete')
    checks.report('Azure OpenAI', { ok: null, seen: 'not checked: the settings are incomplete' })
    return { token: undefined, account: undefined }
  }
  const settings = { ...config, isElsewhere, ...defined({ iamEndpoint }) }
  const identity = await checkIdentity(checks, settings, now)
  await checkDeployments(checks, config, identity.token, { now, newId })
  return identity
}

const STORE = 'store'
const SWEEP = 'sweep'
const QUEUE = 'queue'

/** Records and messages do not depend on Azure, so they are checked in any case. */
async function checkGoogle(
  checks: Checks,
  { config, stores }: Usable,
  { account }: Identity,
  { environment, policyEndpoint, now }: DoctorDependencies,
): Promise<void> {
  const skip = (steps: readonly string[], seen: string) => {
    for (const step of steps) checks.report(step, { ok: null, seen })
  }
  if (stores === undefined) return skip([STORE, ...QUEUE_STEPS, SWEEP], 'not checked: the settings do not name it')
  const { store, jobsTopic } = stores
  // Decided by the environment of this process, also when it checks the settings of a service.
  const { firestore, pubsub } = emulatorsIn(environment)
  // If the metadata server provides the account, Google's libraries use that account as well.
  const isWorker = config?.tokenSource.kind === 'metadata-server' && account !== undefined
  const asker: Asker = { project: store.kind === 'sqlite' ? '' : store.project, account, isWorker }
  if (store.kind === 'firestore' && (firestore === undefined || pubsub === undefined)) {
    const isKnown = await checks.run('Google login', () => checkLogin(isWorker))
    if (!isKnown) return skip([STORE, ...QUEUE_STEPS, SWEEP], 'not checked: there is no Google login')
  }
  await checks.run(STORE, () => checkStore(store, asker, firestore))
  if (store.kind === 'sqlite') {
    await checks.run(QUEUE, () => checkEmbeddedQueue(store.path, jobsTopic, config))
    return
  }
  const readPolicy = createPolicyReader(policyEndpoint)
  await checkQueue(checks, { jobsTopic, config, emulator: pubsub, readPolicy }, asker)
  await checks.run(SWEEP, () => checkSweep(store, pushesOf(config), { now, emulator: firestore }))
}
