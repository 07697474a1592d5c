/** One push of a message, however it came. */
export interface Delivery {
  readonly messageId: string
  readonly data: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
  /** Counted by Pub/Sub; absent without a dead-letter policy. */
  readonly deliveryAttempt: number | undefined
  /** Of the message, as Pub/Sub tells it, in epoch milliseconds. */
  readonly publishedAt: number | undefined
  readonly traceparent: string | undefined
  /** Epoch milliseconds. */
  readonly arrivedAt: number
}

export type ReadDelivery =
  | { readonly ok: true; readonly delivery: Delivery }
  /** Poison: `delivery` holds what came, as it came. */
  | { readonly ok: false; readonly delivery: Delivery; readonly problem: string }
