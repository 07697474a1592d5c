import type { WriteAnswer } from '../../../shared/stores/firestore/coalesce-writes.ts'
import type { Database, NamedFields } from '../../../shared/stores/firestore/database.ts'
import {
  type DocumentWrite,
  type Timestamp,
  timestamp,
  toRevision,
  type Value,
} from '../../../shared/stores/firestore/protocol.ts'
import { fields as fieldsSchema } from '../../../shared/stores/firestore/values.ts'
import { StoreError } from '../../../shared/stores/job-store.ts'
import { hasNumberAt, isEqual, numberAt, textOf, timeOf } from './stored-values.ts'
import type { Process } from './world.ts'

export type Fields = Readonly<Record<string, Value>>

export interface Document {
  readonly name: string
  readonly fields: Fields
  readonly updateTime: Timestamp
}

/** Hears of every write that was applied; `writer`: whose connection it came over. */
export type OnWrite = (after: Document, before: Document | undefined, writer: Process | undefined) => void

export interface FakeFirestore {
  /** The name below which all documents lie. */
  readonly root: string
  /** One connection; what is written over one is read over all. */
  connect(writer?: Process): Database
  /** All documents below a collection of the root, by their names. */
  documents(collection: string): readonly Document[]
  get(name: string): Document | undefined
  /** Changes a document by hand: `onWrite` does not hear of it. */
  edit(document: Document, fields: Fields): Document
}

const ROOT = 'projects/simulated/databases/(default)/documents'
const MAX_WRITES = 500

/**
 * Firestore as far as our adapters ask it: documents with update times, preconditions of each write, queries by equality,
 * by range and by name. A call that holds a document twice, or a name that is reserved, is refused as a whole.
 *
 * `now`: the store's clock, in epoch milliseconds.
 */
export function createFakeFirestore(now: () => number, onWrite: OnWrite = () => undefined): FakeFirestore {
  const documents = new Map<string, Document>()
  let lastWriteUs = 0

  /** No two writes have the same time: Firestore's are microseconds apart. */
  function writeTime(): Timestamp {
    lastWriteUs = Math.max(now() * 1_000, lastWriteUs + 1)
    return fromMicroseconds(lastWriteUs)
  }

  function write(asked: DocumentWrite, writer: Process | undefined): WriteAnswer {
    const { update, currentDocument, updateMask } = asked
    const name = nameIn(asked)
    const before = documents.get(name)
    const { exists } = currentDocument ?? {}
    if (typeof exists === 'boolean' && exists !== (before !== undefined)) return { kind: 'refused' }
    if (currentDocument?.updateTime && !isSameTime(currentDocument.updateTime, before?.updateTime)) {
      return { kind: 'refused' }
    }
    if (asked.delete) {
      documents.delete(name)
      return { kind: 'written', revision: '' }
    }
    const fields = masked(update?.fields ?? {}, before?.fields ?? {}, updateMask?.fieldPaths ?? undefined)
    const after = { name, fields, updateTime: writeTime() }
    documents.set(name, after)
    onWrite(after, before, writer)
    return { kind: 'written', revision: toRevision(after.updateTime) }
  }

  function below(collection: string): Document[] {
    const prefix = `${ROOT}/${collection}/`
    return [...documents.values()].filter(({ name }) => name.startsWith(prefix) && !name.includes('/', prefix.length))
  }

  function connect(writer?: Process): Database {
    let isClosed = false
    const find = (collection: string) => {
      if (isClosed) throw new StoreError('unavailable', 'the database is closed')
      return below(collection)
    }
    function sumAndCount(collection: string, equal: Readonly<Record<string, string>>, names: readonly string[]) {
      const all = find(collection).filter(({ fields }) => isEqual(fields, equal))
      const found = all.filter(({ fields }) => names.every((path) => hasNumberAt(fields, path.split('.'))))
      const sums = names.map((path) => found.reduce((sum, { fields }) => sum + numberAt(fields, path.split('.')), 0))
      return { sums, count: all.length }
    }
    const readTime = () => fromMicroseconds(Math.max(now() * 1_000, lastWriteUs))
    return {
      root: ROOT,
      async batchWrite(writes) {
        if (isClosed) throw new StoreError('unavailable', 'the database is closed')
        const names = writes.map(nameIn)
        const isWrong = names.length > MAX_WRITES || new Set(names).size < names.length || names.some(isReserved)
        return isWrong ? 'impossible' : writes.map((each) => write(each, writer))
      },
      async get(name, mask) {
        if (isClosed) throw new StoreError('unavailable', 'the database is closed')
        const found = documents.get(name)
        if (found === undefined) return { readTime: readTime() }
        return { found: { ...found, fields: only(found.fields, mask) }, readTime: readTime() }
      },
      async newest(collection, field) {
        const [found] = find(collection).toSorted((a, b) => timeOf(b.fields[field]) - timeOf(a.fields[field]))
        return found && read(found)
      },
      async since(collection, field, { since, direction, limit, after }) {
        const sign = direction === 'ASCENDING' ? 1 : -1
        return find(collection)
          .map((document) => ({ document, at: timeOf(document.fields[field]) }))
          .filter(({ at }) => at >= since)
          .sort((a, b) => sign * (a.at - b.at || byName(a.document, b.document)))
          .filter(({ at, document: { name } }) => {
            if (after === undefined) return true
            return sign * (at - after.at || compare(name, after.name)) > 0
          })
          .slice(0, limit)
          .map(({ document }) => read(document))
      },
      async *walk(collection, { equal, mask, after = '' }) {
        const found = find(collection)
          .filter(({ name, fields }) => name > after && isEqual(fields, equal))
          .sort(byName)
          .map(({ name, fields }) => ({ name, fields: only(fields, mask) }))
        yield* found.map(read)
      },
      async range(collection, field, { from, to, limit, after }) {
        return find(collection)
          .map((document) => ({ document, text: textOf(document.fields[field]) ?? '' }))
          .filter(({ text }) => text >= from && text <= to)
          .sort((a, b) => compare(a.text, b.text) || byName(a.document, b.document))
          .filter(({ text, document: { name } }) => after === undefined || isBehind(after, { text, name }))
          .slice(0, limit)
          .map(({ document }) => ({ document, readTime: readTime() }))
      },
      async sum(collection, equal, names) {
        return sumAndCount(collection, equal, names).sums
      },
      async count(collection, equal) {
        return find(collection).filter(({ fields }) => isEqual(fields, equal)).length
      },
      sumAndCount: async (...asked) => sumAndCount(...asked),
      async close() {
        isClosed = true
      },
    }
  }

  return {
    root: ROOT,
    connect,
    documents: below,
    get: (name) => documents.get(name),
    edit({ name }, fields) {
      const edited = { name, fields, updateTime: writeTime() }
      documents.set(name, edited)
      return edited
    },
  }
}

function nameIn({ update, delete: deleted }: DocumentWrite): string {
  return update?.name ?? deleted ?? ''
}

function fromMicroseconds(us: number): Timestamp {
  return { seconds: Math.floor(us / 1_000_000), nanos: (us % 1_000_000) * 1_000 }
}

function isSameTime(wanted: unknown, found: Timestamp | undefined): boolean {
  return found !== undefined && toRevision(timestamp.parse(wanted)) === toRevision(found)
}

/** Replaces the whole document. With a mask it replaces only those fields, and removes the ones without a value. */
function masked(update: Fields, before: Fields, mask: readonly string[] | undefined): Fields {
  if (mask === undefined) return update
  const kept = Object.entries(before).filter(([name]) => !mask.includes(name))
  const changed = Object.entries(update).filter(([name]) => mask.includes(name))
  return Object.fromEntries([...kept, ...changed])
}

function read({ name, fields }: Pick<Document, 'name' | 'fields'>): NamedFields {
  return { name, fields: fieldsSchema.parse(fields) }
}

function only(fields: Fields, mask: readonly string[] | undefined): Fields {
  if (mask === undefined) return fields
  return Object.fromEntries(mask.flatMap((path) => pick(fields, path.split('.'))))
}

/** The field at a path, in the maps around it. */
function pick(fields: Fields, [name = '', ...inner]: readonly string[]): readonly [string, Fields[string]][] {
  const value = fields[name]
  if (value === undefined) return []
  if (inner.length === 0) return [[name, value]]
  return [[name, { mapValue: { fields: Object.fromEntries(pick(value.mapValue?.fields ?? {}, inner)) } }]]
}

/** https://firebase.google.com/docs/firestore/quotas#collections_documents_and_fields */
function isReserved(name: string): boolean {
  return name.split('/').some((part) => /^(|\.|\.\.|__.*__)$/.test(part))
}

interface Place {
  readonly text: string
  readonly name: string
}

function isBehind(after: Place, { text, name }: Place): boolean {
  return text > after.text || (text === after.text && name > after.name)
}

function byName(a: Document, b: Document): number {
  return compare(a.name, b.name)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
