import type { JobQueue, Message } from '../../shared/queues/job-queue.ts'
import type { LinePlan } from './line-plan.ts'
import { plannedLines } from './planned-lines.ts'

/** The size of a publish request. */
const MAX_CHUNK = 500
const MAX_CHUNK_BYTES = 16 * 1024 * 1024
/** So many requests are under way while the next lines are read. */
const MAX_PENDING = 3

export interface SendOptions {
  readonly queue: Pick<JobQueue, 'publishAll'>
  readonly topic: string
  readonly attributes: Message['attributes']
  readonly plan: LinePlan
  /** Called before the first publish, and not at all if nothing is published. */
  readonly beforeFirst: () => Promise<void>
  /** `count`: all messages so far. */
  readonly onPublished: (count: number) => void
  /** Sends no more once it is aborted. */
  readonly signal: AbortSignal
}

/**
 * Publishes the lines of a plan, with their bytes unchanged. Resolves with how many were published, also if `signal` was
 * aborted.
 *
 * Rejects if a line is not as it was when it was checked or is no longer there, and with the errors of the queue.
 */
export async function sendLines(input: AsyncIterable<Uint8Array>, options: SendOptions): Promise<number> {
  const { attributes } = options
  const sender = createSender(options)
  try {
    for await (const { data } of plannedLines(input, options)) await sender.add({ data, attributes })
  } catch (error) {
    await sender.settle()
    throw error
  }
  return sender.end()
}

function createSender({ queue, topic, beforeFirst, onPublished, signal }: SendOptions) {
  const pending = new Set<Promise<void>>()
  let failed: { readonly error: unknown } | undefined
  let [isFirst, bytes, published] = [true, 0, 0]
  let chunk: Message[] = []

  async function flush(): Promise<void> {
    const messages = chunk
    chunk = []
    bytes = 0
    if (isFirst) await beforeFirst()
    isFirst = false
    const publishing = queue
      .publishAll(topic, messages)
      .then(() => {
        published += messages.length
        onPublished(published)
      })
      .catch((error: unknown) => {
        failed ??= { error }
      })
      .finally(() => pending.delete(publishing))
    pending.add(publishing)
  }

  async function untilBelow(most: number): Promise<void> {
    while (pending.size > most) await Promise.race(pending)
    if (failed !== undefined) throw failed.error
  }

  return {
    async add(message: Message): Promise<void> {
      chunk.push(message)
      bytes += message.data.byteLength
      if (chunk.length < MAX_CHUNK && bytes < MAX_CHUNK_BYTES) return
      await untilBelow(MAX_PENDING - 1)
      if (!signal.aborted) await flush()
    },
    /** Resolves when nothing is under way. */
    settle: async () => void (await Promise.all(pending)),
    async end(): Promise<number> {
      if (chunk.length > 0 && !signal.aborted) await flush()
      await untilBelow(0)
      return published
    },
  }
}
