/** One push of a message, in either form. */
export interface Delivery {
  readonly messageId: string
  readonly data: Uint8Array
  readonly attributes: Readonly<Record<string, string>>
  /** Counted by Pub/Sub; absent without a dead-letter policy. */
  readonly deliveryAttempt: number | undefined
  /** When the message was published, as Pub/Sub reports it. Epoch milliseconds. */
  readonly publishedAt: number | undefined
  readonly traceparent: string | undefined
  /** Epoch milliseconds. */
  readonly arrivedAt: number
}

export type ParsedDelivery =
  | { readonly ok: true; readonly delivery: Delivery }
  /** Poison: `delivery` holds the unchanged content. */
  | { readonly ok: false; readonly delivery: Delivery; readonly problem: string }
