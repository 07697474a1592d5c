import { grpc } from 'google-gax'
import { z } from 'zod'
import { CHANNEL_OPTIONS } from '../../lib/channel-options.ts'
import { credentialsByCall, withoutCredentials } from '../../lib/google-credentials.ts'
import { statusOf } from '../../lib/grpc-status.ts'
import { StoreError } from '../job-store.ts'
import type { SendFlush, WriteAnswer } from './coalesce-writes.ts'
import { type DocumentWrite, FirestoreClient, STATUS, type Timestamp, timestamp, toRevision } from './protocol.ts'
import { select, selectRange, selectSince, selectWalk, type TextRange, type TimeRange, type Walk } from './queries.ts'
import { readAnswers } from './read-answers.ts'
import { createRefusal } from './refusal.ts'
import { fields } from './values.ts'

export interface CallLimits {
  /** A write, or a read of one document. */
  readonly callMs: number
  /** The limit between two documents of a query. The query as a whole has no limit. */
  readonly idleMs: number
  /** The same for a query over a whole batch. An emulator sorts all its documents before the first one comes. */
  readonly walkIdleMs: number
  /** The limit of a whole query whose documents arrive slowly. */
  readonly queryMs: number
  /**
   * A count or a sum, which takes as long as it has index entries to read: the time that the sweep has for its batches, so
   * that its answer comes within the minute that Cloud Scheduler waits.
   */
  readonly aggregationMs: number
}

const LIMITS: CallLimits = {
  callMs: 5_000,
  idleMs: 10_000,
  walkIdleMs: 60_000,
  queryMs: 300_000,
  aggregationMs: 25_000,
}

/**
 * The client itself retries a failed write for a minute, and a read, which is a stream, three times. Here the caller decides
 * about retries.
 */
const ONCE = { retry: null, retryRequestOptions: { retries: 0, noResponseRetries: 0 } }

/** The calls to Firestore that the stores use. Each is sent once, has a time limit, and rejects with StoreError. */
export interface Database {
  /** The name below which all documents lie. */
  readonly root: string
  readonly batchWrite: SendFlush<DocumentWrite>
  /** `mask`: only these fields of it; all, when absent. */
  get(name: string, mask?: readonly string[]): Promise<unknown>
  /** The document in which this field is the largest. */
  newest(collection: string, field: string): Promise<NamedFields | undefined>
  /** The documents in which this field holds a time within the range, in its order. */
  since(collection: string, field: string, range: TimeRange): Promise<readonly NamedFields[]>
  /** The documents of a collection by their names, from the one after `after` on. They are read as they are wanted. */
  walk(collection: string, walk: Walk): AsyncIterable<NamedFields>
  /** The documents in which the text of this field is in this range, the least first, each with the time of its read. */
  range(collection: string, field: string, range: TextRange): Promise<readonly unknown[]>
  /** The sum of each of these fields over the documents that have all of them. */
  sum(
    collection: string,
    equal: Readonly<Record<string, string>>,
    fields: readonly string[],
  ): Promise<readonly number[]>
  count(collection: string, equal: Readonly<Record<string, string>>): Promise<number>
  /** The same sums, and the count of all these documents, with the fields or without, at one time. */
  sumAndCount(
    collection: string,
    equal: Readonly<Record<string, string>>,
    fields: readonly string[],
  ): Promise<{ readonly sums: readonly number[]; readonly count: number }>
  /** From now on every call is rejected at once. */
  close(): Promise<void>
}

/** A document's whole name, and those of its fields that can be read. */
export interface NamedFields {
  readonly name: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface DatabaseOptions {
  readonly project: string
  /** The database's id; the project's `(default)` one, when absent. */
  readonly database?: string
  /** HOST:PORT of an emulator, which needs no credentials. */
  readonly emulator: string | undefined
  readonly limits?: CallLimits
}

export function openDatabase(given: DatabaseOptions): Database {
  const { project, database: id = '(default)', emulator, limits = LIMITS } = given
  const where = emulator === undefined ? { auth: credentialsByCall(project) } : emulated(project, emulator)
  const client = new FirestoreClient({ projectId: project, ...CHANNEL_OPTIONS, ...where })
  const database = `projects/${project}/databases/${id}`
  const authorization = emulator === undefined ? {} : { authorization: 'Bearer owner' }
  const root = `${database}/documents`
  const toRefusal = createRefusal({ project, database: id, emulator })
  let isClosed = false

  /** The client would let calls after its end wait for their timeout. */
  function call(timeout: number) {
    if (isClosed) throw new StoreError('unavailable', 'the database is closed')
    // Firestore finds a named database by this header. Each call gets a new object, because the client adds headers to it.
    const headers = { 'google-cloud-resource-prefix': database, ...authorization }
    return { ...ONCE, otherArgs: { headers }, timeout }
  }

  /** The answers to a query end when no document has come for some time. */
  function stream(structuredQuery: StructuredQuery, idleMs: number): AsyncIterable<unknown> {
    return readAnswers(client.runQuery({ parent: root, structuredQuery }, call(limits.queryMs)), toRefusal, idleMs)
  }

  function query(structuredQuery: StructuredQuery): Promise<unknown[]> {
    return Array.fromAsync(stream(structuredQuery, limits.idleMs))
  }

  async function aggregate(
    collection: string,
    equal: Readonly<Record<string, string>>,
    aggregations: Aggregation[],
    at?: Timestamp,
  ): Promise<{ readonly numbers: readonly number[]; readonly readTime: Timestamp }> {
    const structuredAggregationQuery = {
      structuredQuery: select(collection, equal),
      aggregations: aggregations.map((each, n) => ({ ...each, alias: `n${n}` })),
    }
    const asked = { parent: root, structuredAggregationQuery, ...(at && { readTime: at }) }
    const [answer] = await Array.fromAsync(
      readAnswers(client.runAggregationQuery(asked, call(limits.aggregationMs)), toRefusal),
    )
    const { result, readTime } = aggregationAnswer.parse(answer)
    return { numbers: aggregations.map((_, n) => wholeNumber.parse(result.aggregateFields[`n${n}`])), readTime }
  }

  async function sum(collection: string, equal: Readonly<Record<string, string>>, names: readonly string[]) {
    const sums = names.map((fieldPath) => ({ sum: { field: { fieldPath } } }))
    const { numbers, readTime } = await aggregate(collection, equal, sums)
    return { sums: numbers, readTime }
  }

  async function count(collection: string, equal: Readonly<Record<string, string>>, at?: Timestamp): Promise<number> {
    const { numbers } = await aggregate(collection, equal, [{ count: {} }], at)
    return numbers[0] ?? 0
  }

  return {
    root,
    async batchWrite(writes) {
      try {
        const [{ writeResults, status }] = await client.batchWrite(
          { database, writes: [...writes] },
          call(limits.callMs),
        )
        return writes.map((_, index) => readAnswer(status?.[index], writeResults?.[index], toRefusal))
      } catch (error) {
        if (statusOf(error) === STATUS.invalidArgument) return 'impossible'
        throw toRefusal(error)
      }
    },
    async get(name, fieldPaths) {
      const mask = fieldPaths === undefined ? {} : { mask: { fieldPaths: [...fieldPaths] } }
      const asked = { database, documents: [name], ...mask }
      const [answer] = await Array.fromAsync(
        readAnswers(client.batchGetDocuments(asked, call(limits.callMs)), toRefusal),
      )
      return answer
    },
    async newest(collection, fieldPath) {
      const orderBy = [{ field: { fieldPath }, direction: 'DESCENDING' as const }]
      const answers = await query({ from: [{ collectionId: collection }], orderBy, limit: { value: 1 } })
      return answers.flatMap(documentsIn)[0]
    },
    async since(collection, field, range) {
      return (await query(selectSince(collection, field, range))).flatMap(documentsIn)
    },
    async *walk(collection, walk) {
      const answers = stream(selectWalk(collection, walk), limits.walkIdleMs)
      for await (const answer of answers) yield* documentsIn(answer)
    },
    range: (collection, fieldPath, range) => query(selectRange(collection, fieldPath, range)),
    async sum(collection, equal, names) {
      return (await sum(collection, equal, names)).sums
    },
    count: (collection, equal) => count(collection, equal),
    async sumAndCount(collection, equal, names) {
      const { sums, readTime } = await sum(collection, equal, names)
      // In the same query, a count would leave out the documents without these fields.
      return { sums, count: await count(collection, equal, readTime) }
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

type StructuredQuery = NonNullable<NonNullable<Parameters<FirestoreClient['runQuery']>[0]>['structuredQuery']>
type AggregationQuery = NonNullable<Parameters<FirestoreClient['runAggregationQuery']>[0]>
type Aggregation = NonNullable<NonNullable<AggregationQuery['structuredAggregationQuery']>['aggregations']>[number]

/** An answer without a document ends the stream. */
const queryAnswer = z.object({ document: z.object({ name: z.string(), fields }).nullish() })

function documentsIn(answer: unknown): readonly NamedFields[] {
  const { document } = queryAnswer.parse(answer)
  return document ? [document] : []
}

const aggregationAnswer = z.object({ result: z.object({ aggregateFields: fields }), readTime: timestamp })
/** If a number was edited by hand, the sum may be a fraction or not a number. */
const wholeNumber = z.number().transform(Math.round).catch(0)

const statusSchema = z.object({ code: z.number().default(0), message: z.string().optional() })
/** A deleted document has no time. */
const writeResult = z
  .object({ updateTime: timestamp.nullish() })
  .transform(({ updateTime }) => (updateTime ? toRevision(updateTime) : ''))

const REFUSALS: readonly number[] = [STATUS.alreadyExists, STATUS.failedPrecondition, STATUS.notFound]

function readAnswer(status: unknown, result: unknown, toRefusal: (error: unknown) => StoreError): WriteAnswer {
  const { code, message } = statusSchema.parse(status)
  if (code === STATUS.ok) return { kind: 'written', revision: writeResult.parse(result) }
  if (REFUSALS.includes(code)) return { kind: 'refused' }
  if (code === STATUS.invalidArgument) return { kind: 'impossible' }
  const text = `Firestore answered a write with status ${code}`
  return { kind: 'unavailable', cause: toRefusal(Object.assign(new Error(text, { cause: message }), { code })) }
}
