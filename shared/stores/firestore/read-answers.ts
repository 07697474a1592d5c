import { statusOf } from '../../lib/grpc-status.ts'
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
 * `toRefusal`: makes a StoreError of the client's error. `idleMs`: the call ends when no answer has come for so long. The time in which none is wanted does not count.
 */
export async function* readAnswers(
  stream: AnswerStream,
  toRefusal: (error: unknown) => StoreError,
  idleMs?: number,
): AsyncGenerator<unknown> {
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
    throw toRefusal(error)
  } finally {
    clearTimeout(timer)
    if (!isOver) end()
  }
}

const NO_INDEX =
  'Firestore has no index for this query, or is still building it: deploy/firestore.indexes.json declares it, and `promptbridge doctor` says how to make it'

/** The status has other causes too, so the text is checked. https://firebase.google.com/docs/firestore/query-data/indexing */
function lacksIndex(error: unknown): boolean {
  return statusOf(error) === STATUS.failedPrecondition && error instanceof Error && /\bindex\b/i.test(error.message)
}
