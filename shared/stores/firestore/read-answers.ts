import { StoreError } from '../job-store.ts'
import { STATUS } from './protocol.ts'

/** The answers to one call, as the client gives them. */
export interface AnswerStream extends AsyncIterable<unknown> {
  cancel(): void
  destroy(error?: Error): void
}

/**
 * Yields the answers to one call as they are wanted, and ends the call when no more are. Rejects with StoreError.
 *
 * `idleMs`: the call ends when no answer has come for so long. The time in which none is wanted does not count.
 */
export async function* readAnswers(stream: AnswerStream, idleMs?: number): AsyncGenerator<unknown> {
  let timer: NodeJS.Timeout | undefined
  let isOver = false
  function end(error?: Error): void {
    stream.cancel()
    stream.destroy(error)
  }
  function wait(): void {
    if (idleMs !== undefined) timer = setTimeout(() => end(new Error(`no answer for ${idleMs} ms`)), idleMs)
  }
  try {
    wait()
    for await (const answer of stream) {
      clearTimeout(timer)
      yield answer
      wait()
    }
    isOver = true
  } catch (error) {
    isOver = true
    if (lacksIndex(error)) throw new StoreError('no_index', NO_INDEX, error)
    throw new StoreError('unavailable', sayRefusal(codeOf(error)), error)
  } finally {
    clearTimeout(timer)
    if (!isOver) end()
  }
}

/** This status means that the database is missing. For a missing document, Firestore answers without an error. */
function sayRefusal(status: unknown): string {
  if (status === STATUS.notFound)
    return 'Firestore has no such database: GOOGLE_CLOUD_PROJECT and FIRESTORE_DATABASE name it'
  if (status === STATUS.permissionDenied)
    return 'Firestore denies this login the database that GOOGLE_CLOUD_PROJECT and FIRESTORE_DATABASE name'
  return 'Firestore did not answer'
}

const NO_INDEX =
  'Firestore has no index for this query, or is still building it: deploy/firestore.indexes.json declares it, and `promptbridge doctor` says how to make it'

/** The status has other causes too, so the text is checked. https://firebase.google.com/docs/firestore/query-data/indexing */
function lacksIndex(error: unknown): boolean {
  return codeOf(error) === STATUS.failedPrecondition && error instanceof Error && /\bindex\b/i.test(error.message)
}

/** The gRPC status of an error, or undefined if there was no answer. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
