import type { Config, FileOrigin } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import { emulatorsIn } from '../../shared/stores/open.ts'
import { checkDeployments } from './check-azure-openai.ts'
import { checkGrants, invokerGrant } from './check-grants.ts'
import { checkIdentity, type Identity, skipIdentity } from './check-identity.ts'
import { checkInvokers, type ServiceAccess } from './check-invokers.ts'
import { checkLogin } from './check-login.ts'
import { checkQueue, QUEUE_STEPS } from './check-queue.ts'
import { checkSettings, type FoundSettings, type Usable } from './check-settings.ts'
import { checkStore } from './check-store.ts'
import { checkSweep } from './check-sweep.ts'
import type { Asker } from './google-answers.ts'
import { type LiveService, readLiveSettings } from './read-live-settings.ts'
import { createPolicyReader, type ReadPolicy } from './read-policy.ts'
import { type Step, startWalk, type Walk } from './step.ts'

export interface DoctorOptions {
  /** E-mail of the worker's service account, to speak for. */
  readonly serviceAccount?: string
  /** Whose settings to read in place of our own. */
  readonly live?: LiveService
}

export interface DoctorDependencies {
  /** Our own settings, and what is known of the file that some of them are from. */
  readonly environment: Environment
  readonly file?: FileOrigin
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly newId: () => string
  /** Hears of each step as soon as it is known. */
  readonly onStep: (step: Step) => void
  /** Where Google's IAM Credentials API, Cloud Run's, and all that tell grants are; Google's own, when absent. */
  readonly iamEndpoint?: string
  readonly runEndpoint?: string
  readonly policyEndpoint?: string
}

/** Walks the way from the settings to a push, and resolves with what each step found. Never rejects for a step. */
export async function runDoctor(options: DoctorOptions, dependencies: DoctorDependencies): Promise<readonly Step[]> {
  const walk = startWalk(dependencies.onStep)
  const found = await findSettings(walk, options, dependencies)
  if (found === undefined) return walk.steps
  const usable = (await walk.take('settings', async () => checkSettings(found))) ?? {}
  const identity = await walkToAzure(walk, usable.config, found.isElsewhere, dependencies)
  await walkToGoogle(walk, usable, identity, dependencies)
  const pushAuth = usable.config?.pushAuth
  if (options.live !== undefined && pushAuth !== undefined && pushAuth.mode !== 'off') {
    const access = { service: options.live, pushAuth, invokerCheckDisabled: found.invokerCheckDisabled }
    await checkCallers(walk, access, createPolicyReader(dependencies.policyEndpoint))
  }
  return walk.steps
}

/** Checks that pushes may call the service, and that no other caller may. */
async function checkCallers(walk: Walk, access: ServiceAccess, read: ReadPolicy): Promise<void> {
  await checkGrants(walk, [invokerGrant(access.service, access.pushAuth.serviceAccount)], read)
  await walk.take('grant: only pushes may call the service', (signal) => checkInvokers(access, read, signal))
}

interface SettingsOf extends FoundSettings {
  /** Whether this process looks at settings of a process that runs as another account. */
  readonly isElsewhere: boolean
  readonly invokerCheckDisabled: boolean
}

/** The settings to look at, and where they are from. */
async function findSettings(
  walk: Walk,
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
  const read = await walk.take('live service', (signal) => readLiveSettings(live, signal, runEndpoint))
  if (read === undefined) {
    walk.tell('settings', { ok: null, seen: 'the live settings could not be read, so nothing else was looked at' })
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
 * A service of a project that the settings file names may be anyone's, and the hosts that it allows would get tokens. Its
 * settings count as those of the file.
 */
function trustIn(
  theirs: Environment,
  { ALLOW_CUSTOM_HOSTS }: Environment,
  { fromFile = [] }: FileOrigin,
): Pick<FoundSettings, 'environment' | 'file'> {
  if (!fromFile.includes('GOOGLE_CLOUD_PROJECT')) return { environment: theirs, file: {} }
  return { environment: { ...theirs, ALLOW_CUSTOM_HOSTS }, file: { fromFile: Object.keys(theirs) } }
}

async function walkToAzure(
  walk: Walk,
  config: Config | undefined,
  isElsewhere: boolean,
  { now, newId, iamEndpoint }: DoctorDependencies,
): Promise<Identity> {
  if (config === undefined) {
    skipIdentity(walk, 'not tried: the settings have to be whole first')
    walk.tell('Azure OpenAI', { ok: null, seen: 'not asked: the settings have to be whole first' })
    return { token: undefined, account: undefined }
  }
  const settings = { ...config, isElsewhere, ...(iamEndpoint !== undefined && { iamEndpoint }) }
  const identity = await checkIdentity(walk, settings, now)
  await checkDeployments(walk, config, identity.token, { now, newId })
  return identity
}

const STORE = 'store'
const SWEEP = 'sweep'

/** Records and messages do not depend on Azure: they are looked at whatever came before. */
async function walkToGoogle(
  walk: Walk,
  { config, stores }: Usable,
  { account }: Identity,
  { environment, policyEndpoint, now }: DoctorDependencies,
): Promise<void> {
  const skip = (steps: readonly string[], seen: string) => {
    for (const step of steps) walk.tell(step, { ok: null, seen })
  }
  if (stores === undefined) return skip([STORE, ...QUEUE_STEPS, SWEEP], 'the settings do not say where it is')
  const { store, jobsTopic } = stores
  // How this process reaches Google, whosever settings it looks at.
  const { firestore, pubsub } = emulatorsIn(environment)
  // Where the metadata server speaks for an account, Google's libraries ask it as well.
  const isWorker = config?.tokenSource.kind === 'metadata-server' && account !== undefined
  const asker: Asker = { project: store.kind === 'sqlite' ? '' : store.project, account, isWorker }
  if (store.kind === 'firestore' && (firestore === undefined || pubsub === undefined)) {
    const isKnown = await walk.take('Google login', () => checkLogin(isWorker))
    if (!isKnown) return skip([STORE, ...QUEUE_STEPS, SWEEP], 'not checked: there is no Google login')
  }
  await walk.take(STORE, () => checkStore(store, asker, firestore))
  if (store.kind === 'sqlite') return skip(QUEUE_STEPS, 'the embedded queue needs none')
  const readPolicy = createPolicyReader(policyEndpoint)
  await checkQueue(walk, { jobsTopic, config, emulator: pubsub, readPolicy }, asker)
  await walk.take(SWEEP, () => checkSweep(store, config?.pushAuth, { now, emulator: firestore }))
}
