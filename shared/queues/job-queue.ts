/** One message as a publisher hands it over: bytes and string attributes. */
export interface Message {
  readonly data: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
}

/** What the worker and the command line need of a message queue. */
export interface JobQueue {
  /**
   * Publishes one message and resolves with its id once it is durable.
   *
   * Rejects with QueueError: `refused` can never succeed as it is, `unavailable` may succeed later.
   */
  publish(topic: string, message: Message): Promise<string>
  /**
   * Publishes many messages and resolves with their ids, in the same order, once all are durable.
   *
   * Rejects with QueueError as publish does. A message beyond the known limits is `refused` before any is published.
   * Else some may have been, and publishing all of them again makes duplicates, as it would with a single message whose
   * reply was lost.
   */
  publishAll(topic: string, messages: readonly Message[]): Promise<string[]>
  close(): Promise<void>
}

export class QueueError extends Error {
  override readonly name = 'QueueError'
  readonly code: 'refused' | 'unavailable'

  constructor(code: QueueError['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
