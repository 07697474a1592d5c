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
   * Where a resumed subscription pushes to. It was saved among the records, which every operator may change, so it is shown
   * to the one who resumes. Absent where the queue has no endpoints.
   */
  readonly endpoint?: string
}

export interface Deliveries {
  /**
   * Stops the delivery of a topic's messages: they wait, and no attempt is counted. Those under way go on.
   *
   * `subscription`: this one alone; otherwise every one that pushes to a worker. Rejects with QueueError.
   */
  pause(topic: string, subscription: string | undefined): Promise<readonly Handled[]>
  /** Begins again with what was paused. Rejects with QueueError, or with StoreError for what was noted. */
  resume(topic: string, subscription: string | undefined): Promise<readonly Handled[]>
  close(): Promise<void>
}
