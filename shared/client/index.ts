import { readPrices } from '../config/prices.ts'
import { jobKey } from '../job/job.ts'
import { sha256 } from '../lib/sha256.ts'
import { emulatorsIn, openQueue, openStoreReaders, openStores } from '../stores/open.ts'
import { createBatchHandle } from './batch-handle.ts'
import { checkPlace, checkText } from './check-arguments.ts'
import type { HeadersLike, PromptbridgeEvent } from './event-types.ts'
import { lazyResource } from './lazy-resource.ts'
import { readEvent } from './parse-event.ts'
import { createSubmits } from './publish.ts'
import { readIdentity } from './read-identity.ts'
import { createResults } from './to-result.ts'
import type { AzureCredential, AzureIdentity, Client, Place, Publisher, ResultReader } from './types.ts'

export type * from './event-types.ts'
export type * from './types.ts'

/**
 * Opens a client, which publishes jobs and reads what became of them.
 *
 * PUBSUB_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST select emulators, and PRICES_FILE other prices.
 */
export async function createClient(place: Place & { readonly topic?: string }): Promise<Client> {
  const { store, topic } = checkPlace('createClient', place)
  const prices = readPrices(process.env['PRICES_FILE'])
  const queue = lazyResource(() => openQueue(store, dependencies()))
  const stores = lazyResource(() => openStores(store, dependencies()))
  const batches = async () => (await stores.get()).batches
  const results = async () => createResults((await stores.get()).documents, prices)
  const close = async () => {
    await Promise.all([queue.close(), stores.close()])
  }
  return {
    ...createSubmits({ queue: queue.get, batches, topic, now: Date.now }),
    read: async (key) => (await results()).read(checkText('read', 'key', key)),
    find: async (id, batch = '') => (await results()).read(jobKey(batch, checkText('find', 'id', id), sha256)),
    batch: (name) =>
      createBatchHandle(checkText('batch', 'name', name), { stores: stores.get, results, prices, now: Date.now }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Opens a publisher. PUBSUB_EMULATOR_HOST and FIRESTORE_EMULATOR_HOST select emulators. */
export async function createPublisher(to: Place & { readonly topic?: string }): Promise<Publisher> {
  const { store, topic } = checkPlace('createPublisher', to)
  const queue = await openQueue(store, dependencies())
  const stores = lazyResource(() => openStores(store, dependencies()))
  const close = async () => {
    await Promise.all([queue.close(), stores.close()])
  }
  const batches = async () => (await stores.get()).batches
  return {
    ...createSubmits({ queue: async () => queue, batches, topic, now: Date.now }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Opens a reader of results. Rejects with an error whose `code` is `unavailable` if the SQLite file does not exist. */
export async function createResultReader(from: Place): Promise<ResultReader> {
  const { store } = checkPlace('createResultReader', from)
  const prices = readPrices(process.env['PRICES_FILE'])
  const stores = await openStoreReaders(store, dependencies())
  const { read, list } = createResults(stores.documents, prices)
  const close = () => stores.close()
  return {
    read: (key) => read(checkText('read', 'key', key)),
    find: (id, batch = '') => read(jobKey(batch, checkText('find', 'id', id), sha256)),
    list: (batch) => list(batch),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * Reads an event that was received: a push of Pub/Sub, wrapped in JSON or unwrapped, or a message that was pulled.
 *
 * `body`: the request's body as text, bytes or parsed JSON; or the message. `headers`: those of an unwrapped push. Throws an
 * error whose `code` is `not_an_event` if it is none of Promptbridge.
 */
export function parseEvent(body: unknown, headers?: HeadersLike): PromptbridgeEvent {
  return readEvent(body, headers)
}

/**
 * Provides tokens for any Azure service, by the same exchange as the worker and without a secret.
 *
 * Throws if a part of the identity is malformed. Sends nothing before the first call of `getToken`.
 */
export function createAzureCredential(identity: AzureIdentity): AzureCredential {
  const settings = readIdentity(identity, process.env)
  // Loads Microsoft's and Google's libraries only when a token is needed.
  const open = async () => {
    const { openAzureTokens } = await import('./azure-credential.ts')
    return openAzureTokens(settings, { now: Date.now, random: Math.random })
  }
  let opened: ReturnType<typeof open> | undefined
  return {
    async getToken(scopes, { abortSignal = new AbortController().signal } = {}) {
      opened ??= open()
      const tokens = await opened
      const { value, expiresAt } = await tokens.get([scopes].flat().join(' '), abortSignal)
      return { token: value, expiresOnTimestamp: expiresAt }
    },
  }
}

function dependencies() {
  return { now: Date.now, emulators: emulatorsIn(process.env) }
}
