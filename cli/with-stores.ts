import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { readStoresConfig, type StoresConfig } from '../shared/config/config.ts'
import { ConfigError } from '../shared/config/config-error.ts'
import type { Environment } from '../shared/config/rules.ts'
import {
  type Emulators,
  emulatorsIn,
  openStoreReaders,
  openStores,
  type StoreReaders,
  type Stores,
} from '../shared/stores/open.ts'
import { printNote } from './print.ts'
import { readSettings } from './read-settings.ts'

export interface StoreOptions {
  readonly store?: string
  readonly project?: string
}

/** The store of `promptbridge run`. Other commands use it where no option and no setting names another. */
const LOCAL_STORE = '.promptbridge/promptbridge.db'

/** The options of every command that works on jobs. */
export function addStoreOptions(command: Command): Command {
  return command
    .option(
      '--store <store>',
      'firestore, or sqlite:PATH (default: STORE, then .promptbridge/promptbridge.db if it exists)',
    )
    .option('--project <id>', 'the Google Cloud project (default: GOOGLE_CLOUD_PROJECT)')
}

/** change: a missing file is an error. write: it is created. */
type Use = 'change' | 'write'

/** Opens the stores, does the work and closes them. Rejects with ConfigError if the settings do not name them. */
export async function withStores<T>(
  use: Use,
  options: StoreOptions,
  environment: Environment,
  work: (stores: Stores, located: StoresConfig) => Promise<T>,
): Promise<T> {
  const { emulators, ...located } = await locateStores(use, options, environment)
  const stores = await openStores(located.store, { now: Date.now, emulators, firstWithinMs: FIRST_PUBLISH_WITHIN_MS })
  try {
    return await work(stores, located)
  } finally {
    await stores.close()
  }
}

/** The same for work that only reads. A database file is neither locked nor changed. */
export async function withReaders<T>(
  options: StoreOptions,
  environment: Environment,
  work: (stores: StoreReaders, located: StoresConfig) => Promise<T>,
): Promise<T> {
  const { emulators, ...located } = await locateStores('change', options, environment)
  const stores = await openStoreReaders(located.store, { now: Date.now, emulators })
  try {
    return await work(stores, located)
  } finally {
    await stores.close()
  }
}

/** The same, if no setting is missing and the file exists: a command that needs no store uses it as far as it is there. */
export async function withReadersIfThere<T>(
  options: StoreOptions,
  environment: Environment,
  work: (stores: StoreReaders) => Promise<T>,
): Promise<T | undefined> {
  const located = await locateStores('change', options, environment).catch(() => undefined)
  if (located === undefined) return undefined
  const stores = await openStoreReaders(located.store, { now: Date.now, emulators: located.emulators })
  try {
    return await work(stores)
  } finally {
    await stores.close()
  }
}

interface Located extends StoresConfig {
  readonly emulators: Emulators
}

/** A person waits. What is away from the start is rarely back a moment later, and nothing is lost: nothing was sent. */
const FIRST_PUBLISH_WITHIN_MS = 1_000

/** Finds the stores, and checks that there is a Google login if they need one. */
export async function locateStores(use: Use, options: StoreOptions, environment: Environment): Promise<Located> {
  const { environment: settings, fileProblems } = readSettings(environment)
  const { store = storeIn(settings), project = settings['GOOGLE_CLOUD_PROJECT'] } = options
  const given = { ...settings, STORE: store, GOOGLE_CLOUD_PROJECT: project }
  const config = nameStoreOption(options, () => readStoresConfig(given, { fileProblems }))
  if (use === 'change' && config.store.kind === 'sqlite' && !existsSync(config.store.path)) {
    throw new Error(`there is no file ${config.store.path}; name the file of the records with --store`)
  }
  const emulators = emulatorsIn(settings)
  if (config.store.kind === 'firestore' && isUnset(emulators)) await checkLogin()
  return { ...config, emulators }
}

/** A file of `run` here is used, and named, because the caller may expect another store. */
function storeIn({ STORE }: Environment): string | undefined {
  if (STORE?.trim() || !existsSync(LOCAL_STORE)) return STORE
  printNote(`store: sqlite:${LOCAL_STORE}`)
  return `sqlite:${LOCAL_STORE}`
}

/** The options stand for settings, and a problem is reported by the name that the caller gave. */
export function nameStoreOption<T>(options: StoreOptions, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(error.problems.map((problem) => sayOption(problem, options)))
  }
}

function sayOption(problem: string, { store, project }: StoreOptions): string {
  const said = store === undefined ? problem : problem.replace(/^STORE\b/, '--store')
  return project === undefined ? said : said.replace(/^GOOGLE_CLOUD_PROJECT\b/, '--project')
}

function isUnset({ firestore, pubsub }: Emulators): boolean {
  return firestore === undefined && pubsub === undefined
}

/** Fails earlier and with a clearer message than the calls would. Google's library is loaded only when it is needed. */
async function checkLogin(): Promise<void> {
  const { findCredentials } = await import('../shared/lib/google-credentials.ts')
  try {
    await findCredentials()
  } catch (error) {
    throw new Error('There is no Google login here. Run gcloud auth application-default login.', { cause: error })
  }
}
