import type { LimitKind } from '../../job/failures.ts'
import type { RateLimit } from '../provider.ts'
import type { Concurrency } from './concurrency.ts'
import type { Lane } from './lane.ts'

/** One request, by what the provider charges for it on arrival. */
export interface Need {
  readonly tokens: number
}

/**
 * How a provider charges tokens. on-arrival: its estimate, which it never corrects. by-use: the tokens of the answer in the
 * end.
 */
export type Settling = 'on-arrival' | 'by-use'

export interface PaceSettings {
  /** The quota of all instances in a minute, in requests and in tokens, where the operator has set it. */
  readonly rpm?: number | undefined
  readonly tpm?: number | undefined
  /** How many instances share the quota at most. */
  readonly maxInstances?: number | undefined
  readonly settling: Settling
}

/** The state of the governor of one deployment in one instance. */
export interface Pace {
  readonly settling: Settling
  readonly requests: Lane
  readonly tokens: Lane
  readonly concurrency: Concurrency
  /** Nothing is sent before this, since the last refusal. Epoch milliseconds. */
  readonly pausedUntil: number
  /** How often in a row it was refused, with a pause between. */
  readonly refusedInRow: number
  /** The last limit that refused a request. */
  readonly refusedBy?: LimitKind
  /** The newest time that this state has seen. */
  readonly at: number
}

export type Turn =
  | { readonly kind: 'go' }
  /** `forMs`: after this, another try may be allowed; 1 to MAX_WAIT_MS. */
  | { readonly kind: 'wait'; readonly forMs: number }

/** What the reply to one request says. */
export interface PaceReply {
  /** As it was taken. */
  readonly need: Need
  readonly rateLimit?: RateLimit | undefined
  readonly refusal?: { readonly limit: LimitKind; readonly retryAfterMs?: number | undefined } | undefined
  /** When the request was sent, in epoch milliseconds; when absent, now. */
  readonly sentAt?: number | undefined
  /** The tokens of the answer. */
  readonly usedTokens?: number | undefined
  /** The service failed, or took too long. */
  readonly isFault?: boolean | undefined
}

/** What operators read. Rates are per minute. */
export interface PaceReport {
  readonly configured: { readonly rpm?: number; readonly tpm?: number }
  /** What the provider allows, as far as it is known. */
  readonly effective: { readonly rpm?: number; readonly tpm?: number }
  /** The rate of this instance. */
  readonly rate: { readonly rpm: number; readonly tpm: number }
  readonly mostUnderWay: number
  readonly underWay: number
  readonly pausedForMs: number
  readonly refusedBy?: LimitKind
}
