import { z } from 'zod'

const text = z.string().nullable().default(null)

/** The push configuration as Pub/Sub's client returns it. Fields that are not set are null. */
const pushConfig = z.object({
  pushEndpoint: text,
  attributes: z.record(z.string(), z.string()).nullable().default(null),
  oidcToken: z.object({ serviceAccountEmail: text, audience: text }).nullable().default(null),
  pubsubWrapper: z.object({}).nullable().default(null),
  noWrapper: z
    .object({ writeMetadata: z.boolean().nullable().default(null) })
    .nullable()
    .default(null),
})
export type PushConfig = z.infer<typeof pushConfig>

export const liveSubscription = z.object({ name: z.string(), pushConfig: pushConfig.nullish() })

/** The push configuration of a subscription before it was paused. */
interface SavedPush {
  readonly subscription: string
  readonly push: PushConfig
  /** Whether it is paused now, as far as we were asked. */
  readonly isPaused: boolean
}

/** As stores keep it. */
export const storedPush = z.object({
  subscription: z.string(),
  push: z.string().transform((json) => pushConfig.parse(JSON.parse(json))),
  isPaused: z.boolean(),
})

/** Keeps the push configurations of paused subscriptions. Rejects with StoreError. */
export interface SavedPushes {
  put(saved: SavedPush): Promise<void>
  find(subscription: string): Promise<SavedPush | undefined>
}
