import { createHash } from 'node:crypto'
import { z } from 'zod'

/** A part of the subscription's name; every subscription, when absent. */
const match = z.string().min(1).optional()
const times = z.int().positive().default(1)

/**
 * Faults on Pub/Sub's side of a push.
 *
 * duplicate: a share of the messages is delivered twice. lose-ack: an ack is dropped, and the message is redelivered at
 * once. forge-token: a push has a token that must be rejected.
 */
export const pushFaultSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('duplicate'), match, rate: z.number().min(0).max(1) }),
  z.strictObject({ kind: z.literal('lose-ack'), match, times }),
  z.strictObject({
    kind: z.literal('forge-token'),
    match,
    times,
    token: z.enum(['expired', 'wrong-audience', 'wrong-email', 'bad-signature', 'none']),
  }),
])

export type PushFault = z.output<typeof pushFaultSchema>
type Counted = Extract<PushFault, { times: number }>

/** Uses the first fault of a kind for a subscription once. */
function takeFault<K extends Counted['kind']>(
  faults: readonly PushFault[],
  kind: K,
  subscription: string,
): { readonly left: readonly PushFault[]; readonly taken?: Extract<Counted, { kind: K }> } {
  const isMeant = (fault: PushFault): fault is Extract<Counted, { kind: K }> =>
    fault.kind === kind && concerns(fault, subscription)
  const taken = faults.find(isMeant)
  if (taken === undefined) return { left: faults }
  const used = taken.times > 1 ? [{ ...taken, times: taken.times - 1 }] : []
  return { left: faults.flatMap((fault) => (fault === taken ? used : [fault])), taken }
}

/** When the second copy of a message is sent. */
export type Duplicate = 'alongside' | 'after-ack'

/** Depends only on the message id, so that a run can be repeated with the same duplicates. */
export function chooseDuplicate(
  faults: readonly PushFault[],
  messageId: string,
  subscription: string,
): Duplicate | undefined {
  const digest = createHash('sha256').update(messageId).digest()
  const share = digest.readUInt32BE(0) / 2 ** 32
  const isMeant = faults.some(
    (fault) => fault.kind === 'duplicate' && concerns(fault, subscription) && share < fault.rate,
  )
  if (!isMeant) return undefined
  return digest.readUInt8(4) % 2 === 0 ? 'alongside' : 'after-ack'
}

function concerns({ match }: PushFault, subscription: string): boolean {
  return match === undefined || subscription.includes(match)
}

/** The active faults, shared by all subscriptions. */
export interface PushFaultBook {
  placed(): readonly PushFault[]
  place(fault: PushFault): void
  clear(): void
  /** Uses a fault once, if there is one. */
  take<K extends Counted['kind']>(kind: K, subscription: string): Extract<Counted, { kind: K }> | undefined
}

export function createPushFaultBook(): PushFaultBook {
  let faults: readonly PushFault[] = []
  return {
    placed: () => faults,
    place(fault) {
      faults = [...faults, fault]
    },
    clear() {
      faults = []
    },
    take(kind, subscription) {
      const { left, taken } = takeFault(faults, kind, subscription)
      faults = left
      return taken
    },
  }
}
