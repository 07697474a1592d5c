import fc from 'fast-check'
import { anyHostileData, type HostileData } from './data.ts'
import { anyEnvelope, type Envelope } from './envelopes.ts'
import { anyFraming, type Framing } from './framings.ts'

/** A message and the way in which it is pushed, but for whose it is. */
export interface HostilePush {
  readonly data: HostileData
  readonly envelope: Envelope
  readonly framing: Framing
}

export const anyPush: fc.Arbitrary<HostilePush> = anyHostileData.chain((data) =>
  fc.record({ data: fc.constant(data), envelope: anyEnvelope(data), framing: anyFraming }),
)

/** Names what was drawn. */
export function describePush({ data, envelope, framing }: HostilePush): string {
  const text = JSON.stringify(data.data.subarray(0, 400).toString())
  return `data: ${data.kind}; envelope: ${envelope.kind}; framing: ${framing.kind}; ${text}`
}
