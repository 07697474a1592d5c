import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { readStoresConfig, type StoresConfig } from '../shared/config/config.ts'
import type { Environment } from '../shared/config/rules.ts'
import {
  type Emulators,
  emulatorsIn,
  openStoreReaders,
  openStores,
  type StoreReaders,
  type Stores,
} from '../shared/stores/open.ts'
import { readSettings } from './read-settings.ts'

export interface StoreOptions {
  readonly store?: string
  readonly project?: string
}

/** The options of every command that works on jobs. Without them the command uses the same store as a worker here. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--store <store>', 'firestore, or sqlite:PATH such as sqlite:.promptbridge/demo.db (default: STORE)')
    .option('--project <id>', 'the Google Cloud project (default: GOOGLE_CLOUD_PROJECT)')
}

/** change: a missing file is an error. write: it is created. */
type Use = 'change' | 'write'

/** Opens the stores, does the work and closes them. Rejects with ConfigError if the settings do not name them. */
export async function withStores<T>(
  use: Use,
  options: StoreOptions,
  environment: Environment,
  work: (stores: Stores, jobsTopic: string, resultTtlMs: number) => Promise<T>,
): Promise<T> {
  const { store, jobsTopic, resultTtlMs, emulators } = await locateStores(use, options, environment)
  const stores = await openStores(store, { now: Date.now, emulators })
  try {
    return await work(stores, jobsTopic, resultTtlMs)
  } finally {
    await stores.close()
  }
}

/** The same for work that only reads. A database file is neither locked nor changed. */
export async function withReaders<T>(
  options: StoreOptions,
  environment: Environment,
  work: (stores: StoreReaders) => Promise<T>,
): Promise<T> {
  const { store, emulators } = await locateStores('change', options, environment)
  const stores = await openStoreReaders(store, { now: Date.now, emulators })
  try {
    return await work(stores)
  } finally {
    await stores.close()
  }
}

interface Located extends StoresConfig {
  readonly emulators: Emulators
}

/** Finds the stores, and checks that there is a Google login if they need one. */
export async function locateStores(use: Use, options: StoreOptions, environment: Environment): Promise<Located> {
  const { environment: settings, fileProblems } = readSettings(environment)
  const { STORE, GOOGLE_CLOUD_PROJECT } = settings
  const { store = STORE, project = GOOGLE_CLOUD_PROJECT } = options
  const config = readStoresConfig({ ...settings, STORE: store, GOOGLE_CLOUD_PROJECT: project }, { fileProblems })
  if (use === 'change' && config.store.kind === 'sqlite' && !existsSync(config.store.path)) {
    throw new Error(`there is no file ${config.store.path}; name the file of the records with --store`)
  }
  const emulators = emulatorsIn(settings)
  if (config.store.kind === 'firestore' && isUnset(emulators)) await checkLogin()
  return { ...config, emulators }
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
