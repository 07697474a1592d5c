import { statusOf } from '../../lib/grpc-status.ts'
import { StoreError } from '../job-store.ts'
import type { Database } from './database.ts'

/** The caller's access to a database, and the gRPC status of a refusal, or undefined if there was no answer. */
export type Access = { readonly kind: 'granted' } | { readonly kind: 'read' | 'write'; readonly status: unknown }

/** A document that never exists: the worker names its documents by hashes. */
const NOWHERE = 'promptJobs/promptbridge-doctor'

/**
 * Finds out whether the caller may read and write, and leaves nothing behind.
 *
 * The write requires that the document exists, so it never changes anything: a caller with the right to write gets the answer
 * that the document is missing. Never rejects for an answer of the database.
 */
export async function checkAccess(database: Database): Promise<Access> {
  const name = `${database.root}/${NOWHERE}`
  try {
    await database.get(name)
  } catch (error) {
    return { kind: 'read', status: causeStatus(error) }
  }
  try {
    const answer = await database.batchWrite([{ update: { name, fields: {} }, currentDocument: { exists: true } }])
    const [write] = answer === 'impossible' ? [] : answer
    if (write?.kind === 'refused') return { kind: 'granted' }
    return { kind: 'write', status: write?.kind === 'unavailable' ? causeStatus(write.cause) : undefined }
  } catch (error) {
    return { kind: 'write', status: causeStatus(error) }
  }
}

function causeStatus(error: unknown): unknown {
  return statusOf(error instanceof StoreError ? error.cause : error)
}
