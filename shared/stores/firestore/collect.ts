import { StoreError } from '../job-store.ts'
import { STATUS } from './protocol.ts'

/** The answers to one call, as the client gives them. */
export interface AnswerStream extends AsyncIterable<unknown> {
  cancel(): void
  destroy(error?: Error): void
}

export interface CollectOptions {
  /** The call ends when no answer has come for so long. */
  readonly idleMs?: number
  /** Whether these answers are enough; the call ends then. Called once for each answer. */
  readonly isEnough?: (answer: unknown) => boolean
}

/** Reads the answers to one call. Rejects with StoreError. */
export async function collect(
  stream: AnswerStream,
  { idleMs, isEnough = () => false }: CollectOptions = {},
): Promise<unknown[]> {
  const answers: unknown[] = []
  let timer: NodeJS.Timeout | undefined
  function end(error?: Error): void {
    stream.cancel()
    stream.destroy(error)
  }
  function wait(): void {
    clearTimeout(timer)
    if (idleMs !== undefined) timer = setTimeout(() => end(new Error(`no answer for ${idleMs} ms`)), idleMs)
  }
  try {
    wait()
    for await (const answer of stream) {
      wait()
      answers.push(answer)
      if (!isEnough(answer)) continue
      end()
      break
    }
    return answers
  } catch (error) {
    if (lacksIndex(error)) throw new StoreError('no_index', NO_INDEX, error)
    throw new StoreError('unavailable', sayRefusal(codeOf(error)), error)
  } finally {
    clearTimeout(timer)
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
