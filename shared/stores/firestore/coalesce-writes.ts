import { StoreError } from '../job-store.ts'

/** One write on its way. */
export interface PendingWrite<W> {
  /** The document's name: two writes to one document never share a flush. */
  readonly name: string
  readonly write: W
  readonly bytes: number
}

/** The store's result of one write. */
export type WriteAnswer =
  | { readonly kind: 'written'; readonly revision: string }
  /** Its precondition does not hold. */
  | { readonly kind: 'refused' }
  /** It can never be written as it is. */
  | { readonly kind: 'impossible' }
  | { readonly kind: 'unavailable'; readonly cause: unknown }

/** Sends a whole flush. Resolves with an answer to each write, or `impossible` when the store refused the call for good. */
export type SendFlush<W> = (writes: readonly W[]) => Promise<readonly WriteAnswer[] | 'impossible'>

export interface FlushLimits {
  readonly maxWrites: number
  readonly maxBytes: number
  /** Flushes under way at once. */
  readonly maxFlushes: number
  /** Bytes that may wait; beyond them a write is turned away, so that a slow store does not fill the memory. */
  readonly maxWaitingBytes: number
}

/** Firestore takes 500 writes and 10 MiB a call. */
export const FIRESTORE_FLUSH: FlushLimits = {
  maxWrites: 500,
  maxBytes: 8 * 1024 * 1024,
  maxFlushes: 4,
  maxWaitingBytes: 64 * 1024 * 1024,
}

interface Waiting<W> extends PendingWrite<W> {
  readonly answer: (answer: WriteAnswer) => void
}

/**
 * Gathers the writes of concurrent jobs into few calls.
 *
 * Writes of one turn of the event loop are sent together. Further writes are collected while calls are under way.
 * Rejects with StoreError `unavailable` when too much is waiting.
 */
export function coalesceWrites<W>(
  send: SendFlush<W>,
  limits: FlushLimits,
): (write: PendingWrite<W>) => Promise<WriteAnswer> {
  const waiting: Waiting<W>[] = []
  const underWay = new Set<string>()
  let waitingBytes = 0
  let flushes = 0
  let isScheduled = false

  function schedule(): void {
    if (isScheduled || waiting.length === 0 || flushes >= limits.maxFlushes) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      flush()
    })
  }

  function flush(): void {
    const chosen = takeFlush(waiting, underWay, limits)
    if (chosen.length === 0) return
    for (const { name, bytes } of chosen) {
      underWay.add(name)
      waitingBytes -= bytes
    }
    flushes += 1
    void sendSplitting(send, chosen).then(() => {
      for (const { name } of chosen) underWay.delete(name)
      flushes -= 1
      schedule()
    })
    schedule()
  }

  return (pending) => {
    if (waitingBytes + pending.bytes > limits.maxWaitingBytes) {
      return Promise.reject(new StoreError('unavailable', 'too many writes are waiting for the store'))
    }
    const { promise, resolve } = Promise.withResolvers<WriteAnswer>()
    waiting.push({ ...pending, answer: resolve })
    waitingBytes += pending.bytes
    schedule()
    return promise
  }
}

/** Takes the oldest writes that fit into one flush, and leaves those whose document is being written. */
function takeFlush<W>(waiting: Waiting<W>[], underWay: ReadonlySet<string>, limits: FlushLimits): Waiting<W>[] {
  const names = new Set(underWay)
  const chosen: Waiting<W>[] = []
  const left: Waiting<W>[] = []
  let bytes = 0
  for (const next of waiting) {
    const fits = chosen.length < limits.maxWrites && (chosen.length === 0 || bytes + next.bytes <= limits.maxBytes)
    // The writes of a document keep their order, so a waiting write delays the later ones.
    if (fits && !names.has(next.name)) {
      chosen.push(next)
      bytes += next.bytes
    } else left.push(next)
    names.add(next.name)
  }
  waiting.splice(0, waiting.length, ...left)
  return chosen
}

/**
 * Splits a refused flush in halves until the invalid write is alone.
 *
 * Sends the halves one after the other, so that a split flush is still one call at a time. Never rejects.
 */
async function sendSplitting<W>(send: SendFlush<W>, writes: readonly Waiting<W>[]): Promise<void> {
  const answers = await answersTo(send, writes)
  if (answers !== 'impossible') {
    writes.forEach(({ answer }, index) => {
      answer(answers[index] ?? { kind: 'unavailable', cause: new Error('the store left a write without an answer') })
    })
    return
  }
  const [only] = writes
  if (writes.length === 1) return only?.answer({ kind: 'impossible' })
  const half = Math.ceil(writes.length / 2)
  await sendSplitting(send, writes.slice(0, half))
  await sendSplitting(send, writes.slice(half))
}

async function answersTo<W>(
  send: SendFlush<W>,
  writes: readonly Waiting<W>[],
): Promise<readonly WriteAnswer[] | 'impossible'> {
  try {
    return await send(writes.map(({ write }) => write))
  } catch (cause) {
    return writes.map(() => ({ kind: 'unavailable', cause }))
  }
}
