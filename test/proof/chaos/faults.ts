import type { z } from 'zod'
import type { faultSchema } from '../../../local/faults.ts'
import type { pushFaultSchema } from '../../../local/pubsub-push/push-faults.ts'
import type { Random } from '../support/seeded-random.ts'

export type StoreKind = 'sqlite' | 'emulators'

/** What goes wrong, and on whom. Times are milliseconds. */
export type Fault =
  | { readonly on: 'worker'; readonly kind: 'kill' | 'drain' | 'upgrade' }
  | { readonly on: 'worker'; readonly kind: 'stop'; readonly ms: number }
  /** All of them are killed, and stay away. */
  | { readonly on: 'worker'; readonly kind: 'outage'; readonly ms: number }
  | {
      readonly on: 'azure' | 'entra' | 'metadata'
      readonly kind: string
      readonly scripts: readonly z.input<typeof faultSchema>[]
    }
  /** For some time from its first strike on, of one deployment that few jobs ask: its circuit opens. */
  | {
      readonly on: SideName
      readonly kind: string
      readonly ms: number
      readonly script: z.input<typeof faultSchema>
    }
  | { readonly on: 'push'; readonly kind: string; readonly script: z.input<typeof pushFaultSchema> }
  /** Of the network between one worker and its store, or its queue. */
  | { readonly on: 'firestore' | 'pubsub'; readonly kind: NetworkKind; readonly ms: number }
  /** Another process holds the lock on the store's file. */
  | { readonly on: 'file'; readonly kind: 'locked'; readonly ms: number }
  | { readonly on: 'command'; readonly kind: 'replay' | 'cancel batch' }
  /** upcoming: before anybody has seen it. */
  | { readonly on: 'command'; readonly kind: 'cancel job'; readonly which: 'latest' | 'upcoming' }

/** Deployments beside the main one, each a resource of its own, so that what is wrong there has to stay there. */
export const SIDES = ['busy', 'patient', 'missing', 'locked'] as const
export type SideName = (typeof SIDES)[number]

export type NetworkKind = 'stalled' | 'cut' | 'stranded' | 'lost replies'

/** A kind of fault: how often it comes, and what it is when it does. */
export interface FaultKind {
  readonly everyMs: number
  readonly make: (random: Random) => Fault
}

/** Longer than a lease and than a push: what it held is taken over before it goes on, and finds itself fenced off. */
const STOP_MS = [6_000, 9_000] as const
/** Long enough for messages to be delivered in vain until they are forwarded. */
const OUTAGE_MS = [8_000, 10_000] as const

/** From the beginning to the end. */
export const DUPLICATES: Fault = { on: 'push', kind: 'duplicates', script: { kind: 'duplicate', rate: 0.15 } }

/** Of the worker that is the last release until then: the two versions share one store. */
export const UPGRADE: Fault = { on: 'worker', kind: 'upgrade' }

const workerKinds: readonly FaultKind[] = [
  { everyMs: 15_000, make: () => ({ on: 'worker', kind: 'kill' }) },
  { everyMs: 30_000, make: () => ({ on: 'worker', kind: 'drain' }) },
  { everyMs: 30_000, make: (random) => ({ on: 'worker', kind: 'stop', ms: random.whole(...STOP_MS) }) },
  { everyMs: 60_000, make: (random) => ({ on: 'worker', kind: 'outage', ms: random.whole(...OUTAGE_MS) }) },
]

type Script = z.input<typeof faultSchema>

function scripted(on: 'azure' | 'entra' | 'metadata', kind: string, everyMs: number, ...scripts: Script[]): FaultKind {
  return { everyMs, make: () => ({ on, kind, scripts }) }
}

const SIDE_MS = [4_000, 8_000] as const

function side(on: SideName, kind: string, everyMs: number, script: Script): FaultKind {
  return { everyMs, make: (random) => ({ on, kind, ms: random.whole(...SIDE_MS), script }) }
}

const CHAT = { match: '/chat/completions' }
/** Entra's discovery is asked too, and must not use up what is meant for the exchange. */
const TOKEN = { match: '/token' }
const IDENTITY = { match: '/identity' }
const SOON = { 'retry-after-ms': '300' }

const standInKinds: readonly FaultKind[] = [
  {
    everyMs: 10_000,
    make: (random) => {
      const error = random.pick(['server_error', 'unavailable', 'timeout'])
      return { on: 'azure', kind: 'status', scripts: [{ kind: 'status', error, times: 2, ...CHAT }] }
    },
  },
  scripted('azure', 'hang', 20_000, { kind: 'hang', times: 1, ...CHAT }),
  scripted('azure', 'reset', 15_000, { kind: 'reset', times: 1, ...CHAT }),
  scripted('azure', 'half body', 15_000, { kind: 'reset', after: 'half-body', times: 1, ...CHAT }),
  scripted('azure', 'garbage', 30_000, { kind: 'garbage', times: 1, ...CHAT }),
  scripted('azure', '429 storm', 20_000, {
    ...{ kind: 'status', error: 'call_rate_limit', headers: SOON, times: 8 },
    ...CHAT,
  }),
  scripted('azure', 'answer lost after billing', 15_000, { kind: 'reset', billed: true, times: 2, ...CHAT }),
  scripted('azure', 'late answer', 30_000, { kind: 'hang', billed: true, times: 1, ...CHAT }),
  // Two in a row would open the circuit for minutes.
  scripted('azure', 'unauthorized', 40_000, { kind: 'status', error: 'unauthorized', times: 1, ...CHAT }),
  scripted('azure', 'no usage', 20_000, { kind: 'odd', without: ['usage', 'finish_reason'], times: 2, ...CHAT }),
  scripted('azure', 'no answer in it', 40_000, { kind: 'odd', without: ['choices'], times: 1, ...CHAT }),
  side('busy', '503', 40_000, { kind: 'status', error: 'unavailable' }),
  side('patient', '503 with a time to wait', 40_000, {
    ...{ kind: 'status', error: 'unavailable', headers: { 'retry-after': '3' } },
  }),
  side('missing', '404', 120_000, { kind: 'status', error: 'deployment_not_found' }),
  side('locked', '401', 120_000, { kind: 'status', error: 'unauthorized' }),
  scripted('entra', 'status', 60_000, { kind: 'status', error: 'temporarily_unavailable', times: 2, ...TOKEN }),
  scripted('entra', 'hang', 90_000, { kind: 'hang', times: 1, ...TOKEN }),
  scripted('entra', 'reset', 60_000, { kind: 'reset', times: 1, ...TOKEN }),
  scripted('metadata', 'status', 60_000, { kind: 'status', error: 'unavailable', times: 2, ...IDENTITY }),
  scripted('metadata', 'hang', 90_000, { kind: 'hang', times: 1, ...IDENTITY }),
  scripted('metadata', 'reset', 60_000, { kind: 'reset', times: 1, ...IDENTITY }),
  {
    everyMs: 6_000,
    make: () => ({ on: 'push', kind: 'lost ack', script: { kind: 'lose-ack', match: 'jobs', times: 2 } }),
  },
  {
    everyMs: 10_000,
    make: (random) => {
      const token = random.pick(['expired', 'wrong-audience', 'wrong-email', 'bad-signature', 'none'])
      return { on: 'push', kind: 'forged token', script: { kind: 'forge-token', match: 'jobs', token, times: 3 } }
    },
  },
]

const commandKinds: readonly FaultKind[] = [
  { everyMs: 25_000, make: () => ({ on: 'command', kind: 'replay' }) },
  {
    everyMs: 30_000,
    make: (random) => ({ on: 'command', kind: 'cancel job', which: random.pick(['latest', 'upcoming']) }),
  },
  { everyMs: 60_000, make: () => ({ on: 'command', kind: 'cancel batch' }) },
]

function network(on: 'firestore' | 'pubsub', kind: NetworkKind, everyMs: number, longestMs: number): FaultKind {
  return { everyMs, make: (random) => ({ on, kind, ms: random.whole(1_000, longestMs) }) }
}

const storeKinds: Readonly<Record<StoreKind, readonly FaultKind[]>> = {
  emulators: [
    network('firestore', 'stalled', 20_000, 4_000),
    network('firestore', 'cut', 20_000, 4_000),
    network('firestore', 'stranded', 40_000, 2_000),
    network('firestore', 'lost replies', 20_000, 3_000),
    network('pubsub', 'stalled', 40_000, 3_000),
    network('pubsub', 'cut', 40_000, 3_000),
  ],
  // Beyond five seconds of it, a write is given up.
  sqlite: [{ everyMs: 20_000, make: (random) => ({ on: 'file', kind: 'locked', ms: random.whole(1_000, 6_500) }) }],
}

export function processFaults(): readonly FaultKind[] {
  return workerKinds
}

export function otherFaults(store: StoreKind): readonly FaultKind[] {
  return [...standInKinds, ...commandKinds, ...storeKinds[store]]
}
