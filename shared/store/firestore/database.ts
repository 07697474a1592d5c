import { grpc } from 'google-gax'
import { z } from 'zod'
import { CHANNEL_OPTIONS } from '../../channel-options.ts'
import { credentialsByCall, withoutCredentials } from '../../google-credentials.ts'
import { StoreError } from '../job-store.ts'
import type { SendFlush, WriteAnswer } from './coalesce-writes.ts'
import { type DocumentWrite, FirestoreClient, STATUS, timestamp, toRevision } from './protocol.ts'
import { type Direction, type Page, select, selectPage, selectRange, selectSince, type TextRange } from './queries.ts'
import { fields } from './values.ts'

const TIMEOUT_MS = 5_000

/**
 * The client tries a failed write again for a minute by itself, and a read, which is a stream, three times: whoever waits
 * for the answer decides that.
 */
const ONCE = { timeout: TIMEOUT_MS, retry: null, retryRequestOptions: { retries: 0, noResponseRetries: 0 } }

/** Firestore's calls, as far as we need them: each is sent once, has five seconds, and rejects with StoreError. */
export interface Database {
  /** The name below which all documents lie. */
  readonly root: string
  readonly batchWrite: SendFlush<DocumentWrite>
  /** `mask`: only these fields of it; all, when absent. */
  get(name: string, mask?: readonly string[]): Promise<unknown>
  /** The fields of the document in which this field is the largest. */
  newest(collection: string, field: string): Promise<unknown>
  /**
   * The fields of the documents in which the time of this field is `since` or later, the latest first or last; undefined for a
   * document that holds a kind of value that we never write. `since`: epoch milliseconds.
   */
  since(
    collection: string,
    field: string,
    since: number,
    limit?: number,
    direction?: Direction,
  ): Promise<readonly unknown[]>
  /** The fields of the documents of a collection in which all of these fields have these values. */
  query(parent: string, collection: string, equal: Readonly<Record<string, string>>): Promise<readonly unknown[]>
  /** The documents of a collection by their names, from the one after `after` on, of which each stands for itself. */
  page(collection: string, page: Page): Promise<readonly NamedFields[]>
  /** The documents in which the text of this field is in this range, the least first, each with the time of its read. */
  range(collection: string, field: string, range: TextRange): Promise<readonly unknown[]>
  /** The sum of each of these fields over the documents that have all of them. */
  sum(
    collection: string,
    equal: Readonly<Record<string, string>>,
    fields: readonly string[],
  ): Promise<readonly number[]>
  count(collection: string, equal: Readonly<Record<string, string>>): Promise<number>
  /** From now on every call is rejected at once. */
  close(): Promise<void>
}

/** A document's whole name, and its fields; undefined where one holds a kind of value that we never write. */
interface NamedFields {
  readonly name: string
  readonly fields: Readonly<Record<string, unknown>> | undefined
}

export interface DatabaseOptions {
  readonly project: string
  /** HOST:PORT of an emulator, which wants no credentials. */
  readonly emulator: string | undefined
}

export function openDatabase({ project, emulator }: DatabaseOptions): Database {
  const where = emulator === undefined ? { auth: credentialsByCall(project) } : emulated(project, emulator)
  const client = new FirestoreClient({ projectId: project, ...CHANNEL_OPTIONS, ...where })
  const headers = emulator === undefined ? {} : { otherArgs: { headers: { authorization: 'Bearer owner' } } }
  const options = { ...ONCE, ...headers }
  const database = `projects/${project}/databases/(default)`
  const root = `${database}/documents`
  let isClosed = false

  /** The client would let calls after its end wait for their timeout. */
  function call() {
    if (isClosed) throw new StoreError('unavailable', 'the database is closed')
    return options
  }

  return {
    root,
    async batchWrite(writes) {
      try {
        const [{ writeResults, status }] = await client.batchWrite({ database, writes: [...writes] }, call())
        return writes.map((_, index) => readAnswer(status?.[index], writeResults?.[index]))
      } catch (error) {
        if (codeOf(error) === STATUS.invalidArgument) return 'impossible'
        throw error
      }
    },
    async get(name, fieldPaths) {
      const mask = fieldPaths === undefined ? {} : { mask: { fieldPaths: [...fieldPaths] } }
      const [answer] = await collect(client.batchGetDocuments({ database, documents: [name], ...mask }, call()))
      return answer
    },
    async query(parent, collection, equal) {
      const answers = await collect(client.runQuery({ parent, structuredQuery: select(collection, equal) }, call()))
      return answers.flatMap((answer) => queryAnswer.parse(answer).document?.fields ?? [])
    },
    async newest(collection, fieldPath) {
      const orderBy = [{ field: { fieldPath }, direction: 'DESCENDING' as const }]
      const structuredQuery = { from: [{ collectionId: collection }], orderBy, limit: { value: 1 } }
      const [answer] = await collect(client.runQuery({ parent: root, structuredQuery }, call()))
      return queryAnswer.parse(answer).document?.fields
    },
    async since(collection, field, since, limit, direction = 'DESCENDING') {
      const most = limit === undefined ? {} : { limit: { value: limit } }
      const structuredQuery = { ...selectSince(collection, field, since, direction), ...most }
      const answers = await collect(client.runQuery({ parent: root, structuredQuery }, call()))
      return answers.flatMap((answer) => {
        const { document } = foreignAnswer.parse(answer)
        return document ? [fields.safeParse(document.fields).data] : []
      })
    },
    async page(collection, page) {
      const answers = await collect(
        client.runQuery({ parent: root, structuredQuery: selectPage(collection, page) }, call()),
      )
      return answers.flatMap((answer) => {
        const { document } = namedAnswer.parse(answer)
        return document ? [{ name: document.name, fields: fields.safeParse(document.fields).data }] : []
      })
    },
    async range(collection, fieldPath, range) {
      const structuredQuery = selectRange(collection, fieldPath, range)
      return collect(client.runQuery({ parent: root, structuredQuery }, call()))
    },
    async sum(collection, equal, names) {
      const aggregations = names.map((fieldPath, i) => ({ alias: `sum${i}`, sum: { field: { fieldPath } } }))
      const structuredAggregationQuery = { structuredQuery: select(collection, equal), aggregations }
      const [answer] = await collect(client.runAggregationQuery({ parent: root, structuredAggregationQuery }, call()))
      const { aggregateFields } = sumAnswer.parse(answer).result
      return names.map((_, i) => aggregateFields[`sum${i}`]?.integerValue ?? 0)
    },
    async count(collection, equal) {
      const structuredAggregationQuery = {
        structuredQuery: select(collection, equal),
        aggregations: [{ alias: 'n', count: {} }],
      }
      const [answer] = await collect(client.runAggregationQuery({ parent: root, structuredAggregationQuery }, call()))
      return countAnswer.parse(answer).result.aggregateFields.n.integerValue
    },
    close() {
      isClosed = true
      return client.close()
    },
  }
}

function emulated(project: string, emulator: string) {
  const { hostname, port } = new URL(`http://${emulator}`)
  const auth = withoutCredentials(project)
  const sslCreds = grpc.credentials.createInsecure()
  return { servicePath: hostname, port: Number(port), sslCreds, auth }
}

/** An answer without a document ends the stream. */
const queryAnswer = z.object({ document: z.object({ fields }).nullish() })
/** The same, of documents that each stand for themselves. */
const foreignAnswer = z.object({ document: z.object({ fields: z.unknown() }).nullish() })

const namedAnswer = z.object({ document: z.object({ name: z.string(), fields: z.unknown() }).nullish() })

const countAnswer = z.object({
  result: z.object({ aggregateFields: z.object({ n: z.object({ integerValue: z.coerce.number().int() }) }) }),
})

const sumAnswer = z.object({
  result: z.object({ aggregateFields: z.record(z.string(), z.object({ integerValue: z.coerce.number().int() })) }),
})

const statusSchema = z.object({ code: z.number().default(0), message: z.string().optional() })
const writeResult = z.object({ updateTime: timestamp })

const REFUSALS: readonly number[] = [STATUS.alreadyExists, STATUS.failedPrecondition, STATUS.notFound]

function readAnswer(status: unknown, result: unknown): WriteAnswer {
  const { code, message } = statusSchema.parse(status)
  if (code === STATUS.ok) return { kind: 'written', revision: toRevision(writeResult.parse(result).updateTime) }
  if (REFUSALS.includes(code)) return { kind: 'refused' }
  if (code === STATUS.invalidArgument) return { kind: 'impossible' }
  const text = `Firestore answered a write with status ${code}`
  return { kind: 'unavailable', cause: Object.assign(new Error(text, { cause: message }), { code }) }
}

async function collect(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  try {
    return await Array.fromAsync(stream)
  } catch (error) {
    if (lacksIndex(error)) throw new StoreError('no_index', NO_INDEX, error)
    throw new StoreError('unavailable', 'Firestore did not answer', error)
  }
}

const NO_INDEX =
  'Firestore has no index for this query, or is still building it: deploy/firestore.indexes.json declares it, and `promptbridge doctor` says how to make it'

/** The same status has other causes: only its text tells this one. https://firebase.google.com/docs/firestore/query-data/indexing */
function lacksIndex(error: unknown): boolean {
  return codeOf(error) === STATUS.failedPrecondition && error instanceof Error && /\bindex\b/i.test(error.message)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
