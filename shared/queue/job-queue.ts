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
