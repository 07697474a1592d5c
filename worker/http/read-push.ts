import type { Clock } from '../../shared/lib/clock.ts'
import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import type { ParsedDelivery } from '../delivery/delivery.ts'
import { parseDelivery } from './parse-delivery.ts'

/** Pub/Sub's limit of 10 MB in base64, with room for the attributes and the envelope. */
export const MAX_PUSH_BYTES = 14_500_000

/** A push up to this size reserves its room at once: one read costs less than many chunks. */
const SHORT_PUSH_BYTES = 16 * 1_024

/** Why a push was not read. busy: there is no room now. broken: its caller disconnected or was too slow. */
export type RejectedPush = 'busy' | 'too_large' | 'broken'

/**
 * Reads a push if there is room for it, and keeps the room until `work` has ended.
 *
 * A push whose declared length exceeds the room is not read at all. Rejects as `work` does.
 */
export async function readPush<T>(
  request: Request,
  { bytes, now }: { readonly bytes: BytesInFlight; readonly now: Clock },
  work: (read: ParsedDelivery, room: Reservation) => Promise<T>,
): Promise<T | RejectedPush> {
  const length = Number(request.headers.get('content-length') ?? 0)
  if (length > MAX_PUSH_BYTES) return 'too_large'
  const room = bytes.admit(length)
  if (room === undefined) return 'busy'
  try {
    const read = await readAndParse(request, room, now)
    return typeof read === 'string' ? read : await work(read, room)
  } finally {
    room.release()
  }
}

/** A separate function, so that the raw body is freed: the delivery holds copies, and the job may run for long. */
async function readAndParse(request: Request, room: Reservation, now: Clock): Promise<ParsedDelivery | RejectedPush> {
  const body = await readBody(request, room).catch(() => 'broken' as const)
  return typeof body === 'string' ? body : parseDelivery(request.headers, body, now())
}

async function readBody(request: Request, room: Reservation): Promise<Uint8Array | RejectedPush> {
  const declared = Number(request.headers.get('content-length') ?? Number.POSITIVE_INFINITY)
  if (declared <= SHORT_PUSH_BYTES) return room.grow(declared) ? new Uint8Array(await request.arrayBuffer()) : 'busy'
  const reader = request.body?.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done) return Buffer.concat(chunks)
    length += value.byteLength
    if (length > MAX_PUSH_BYTES) return 'too_large'
    if (!room.grow(value.byteLength)) return 'busy'
    chunks.push(value)
  }
}
