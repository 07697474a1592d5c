/** One subscription after it was to be paused or resumed. */
export interface Handled {
  /** As the queue names it. */
  readonly subscription: string
  /**
   * was_paused and was_delivered: no change was needed. no_endpoint: nothing is delivered, and no endpoint was saved, so it
   * was not paused by this project.
   */
  readonly state: 'paused' | 'was_paused' | 'resumed' | 'was_delivered' | 'no_endpoint'
  /**
   * The endpoint of a resumed subscription. It was saved in the store, which every operator can change, so the command
   * displays it. Absent if the queue has no endpoints.
   */
  readonly endpoint?: string
}

export interface Deliveries {
  /**
   * Stops the delivery of a topic's messages. They wait, and no attempt is counted. Deliveries under way continue.
   *
   * `subscription`: this one alone; otherwise every one that pushes to a worker. Rejects with QueueError.
   */
  pause(topic: string, subscription: string | undefined): Promise<readonly Handled[]>
  /** Resumes paused subscriptions. Rejects with QueueError, or with StoreError if the saved endpoint cannot be read. */
  resume(topic: string, subscription: string | undefined): Promise<readonly Handled[]>
  close(): Promise<void>
}
