/** One message as a publisher hands it over: bytes and string attributes. */
export interface Message {
  readonly data: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
}

/** The message queue that the worker and the command line use. */
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
   * Rejects with QueueError as publish does. If a message exceeds the known limits, all are `refused` and none is published.
   * After any other error some may have been published, and publishing all of them again makes duplicates. The same is true
   * of a single message if the reply was lost.
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
