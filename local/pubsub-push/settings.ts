import { z } from 'zod'

/** The push stand-in's name in the call log. */
export const SERVICE = 'pubsub_push'

const topic = z.string().min(1)
const milliseconds = z.number().int().nonnegative()
const address = z.url({ protocol: /^https?$/ })

/**
 * One push subscription, with Pub/Sub's bounds and defaults.
 *
 * Backoffs and the ack deadline may be shorter than Pub/Sub's, so that tests are fast.
 */
const subscriptionSchema = z.strictObject({
  name: z.string().regex(/^projects\/[^/]+\/subscriptions\/[^/]+$/),
  topic,
  endpoint: address,
  /** Further instances of the endpoint. Pushes go to all of them in turn, as behind the one address of Cloud Run. */
  alsoAt: z.array(address).default([]),
  /** Without it, pushes carry no Authorization header. */
  oidc: z.strictObject({ audience: z.string().min(1), serviceAccount: z.email() }).optional(),
  wrapped: z.boolean().default(true),
  ackDeadlineMs: z.number().int().positive().max(600_000).default(10_000),
  retry: z
    .strictObject({ minBackoffMs: milliseconds.default(10_000), maxBackoffMs: milliseconds.default(600_000) })
    .prefault({}),
  deadLetter: z.strictObject({ topic, maxAttempts: z.number().int().min(5).max(100).default(100) }).optional(),
  flow: z
    .strictObject({
      minOutstanding: z.number().int().positive().default(1),
      maxOutstanding: z.number().int().positive().default(1_000),
      minBackoffMs: milliseconds.default(100),
      maxBackoffMs: milliseconds.default(60_000),
    })
    .prefault({}),
})

/** Several subscriptions, each of another topic, because the embedded queue delivers a message to one subscription only. */
export const subscriptionsSchema = z
  .array(subscriptionSchema)
  .refine((list) => new Set(list.map((subscription) => subscription.topic)).size === list.length, {
    error: 'two subscriptions of one topic',
  })

export type SubscriptionOptions = z.input<typeof subscriptionSchema>
export type SubscriptionSettings = z.output<typeof subscriptionSchema>
