import { defined } from '../../lib/defined.ts'
import { StoreError } from '../job-store.ts'
import type { Write } from '../record-documents.ts'
import { coalesceWrites, FIRESTORE_FLUSH, type FlushLimits, type WriteAnswer } from './coalesce-writes.ts'
import type { Database } from './database.ts'
import type { DocumentWrite, Timestamp, Value } from './protocol.ts'
import { storedBytes } from './stored-bytes.ts'

/** Firestore's limit for a document is 1 MiB, its name counted. */
const MAX_DOCUMENT_BYTES = 1_048_576 - 4_096

export interface Put {
  /** The document's whole name. */
  readonly name: string
  /** Without them, the document is deleted. */
  readonly fields?: Readonly<Record<string, Value>>
  /** Without a precondition, an existing document is overwritten. */
  readonly precondition?: { readonly exists: boolean } | { readonly updateTime: Timestamp }
  /** Only these fields are written; all, when absent. */
  readonly mask?: readonly string[]
}

/**
 * Returns a function that writes documents and groups the writes of concurrent jobs.
 *
 * Each write is checked first, because one invalid write would fail the whole group. Rejects with StoreError.
 */
export function createDocumentWriter(
  database: Database,
  limits: FlushLimits = FIRESTORE_FLUSH,
): (put: Put) => Promise<Write> {
  const write = coalesceWrites(database.batchWrite, limits)
  return async (put) => {
    const bytes = put.fields === undefined ? 0 : storedBytes(put.fields)
    if (bytes > MAX_DOCUMENT_BYTES) throw new StoreError('refused', `a document of ${bytes} bytes is too large`)
    return toWrite(await write({ name: put.name, bytes, write: toDocumentWrite(put) }))
  }
}

function toDocumentWrite({ name, fields, precondition, mask }: Put): DocumentWrite {
  if (fields === undefined) return { delete: name, ...defined({ currentDocument: precondition }) }
  return {
    update: { name, fields },
    ...defined({ currentDocument: precondition }),
    ...(mask === undefined ? {} : { updateMask: { fieldPaths: [...mask] } }),
  }
}

function toWrite(answer: WriteAnswer): Write {
  switch (answer.kind) {
    case 'written':
    case 'refused':
      return answer
    case 'impossible':
      throw new StoreError('refused', 'Firestore refuses this document for good')
    case 'unavailable':
      throw answer.cause instanceof StoreError
        ? answer.cause
        : new StoreError('unavailable', 'Firestore did not take a write', answer.cause)
  }
}
