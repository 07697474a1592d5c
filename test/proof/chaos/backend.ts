import type { CallLog } from '../../../local/call-log.ts'
import type { SubscriptionOptions } from '../../../local/pubsub-push/settings.ts'
import type { SigningKey } from '../../../local/signing-key.ts'
import type { StandIn } from '../../../local/stand-in.ts'
import type { Stores } from '../../../shared/stores/open.ts'
import type { SeenEvent } from './evidence.ts'
import type { Fault, NetworkKind } from './faults.ts'

export const TOPICS = { jobs: 'jobs', deadLetters: 'dead-letter', events: 'events' } as const
/** As often as Pub/Sub allows at least: what is deferred so often is forwarded, and rescued. */
export const MAX_DELIVERIES = 5

export type StoreFault = Extract<Fault, { on: 'file' } | { kind: NetworkKind }>

export interface PushParts {
  readonly key: SigningKey
  readonly log: CallLog
  readonly subscriptions: readonly SubscriptionOptions[]
}

/** Where records and messages are: in a file, or in Google's emulators. */
export interface Backend extends AsyncDisposable {
  /** Around the faults. */
  readonly stores: Stores
  /** What leads worker n there, through the faults. */
  environmentOf(worker: number): Readonly<Record<string, string>>
  /** What leads a command there, around the faults. */
  readonly commandEnvironment: Readonly<Record<string, string>>
  /** How many messages may be under way at once. */
  readonly most: number
  /** Begins to deliver. */
  startPush(parts: PushParts): Promise<StandIn & { readonly certsUrl: string }>
  /** Whether nothing is to be delivered any more. `lastPushAt`: when one was answered, in epoch milliseconds. */
  isIdle(lastPushAt: number): Promise<boolean>
  inflict(fault: StoreFault, worker: number, signal: AbortSignal): Promise<void>
  /** All that the events topic has brought so far. */
  events(): Promise<readonly SeenEvent[]>
}

export interface BackendOptions {
  readonly folder: string
  readonly workers: number
  /** Epoch milliseconds. */
  readonly now: () => number
}
