import type { Clock } from '../../shared/lib/clock.ts'
import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import type { ParsedDelivery } from '../delivery/delivery.ts'
import { parseDelivery } from './parse-delivery.ts'
import type { PushRequest } from './push-request.ts'

/** Pub/Sub's limit of 10 MB in base64, with room for the attributes and the envelope. */
export const MAX_PUSH_BYTES = 14_500_000

/** A push up to this size reserves its room at once: one read costs less than many chunks. */
const SHORT_PUSH_BYTES = 16 * 1_024

/** Why a push was not read. busy: there is no room now. broken: its caller disconnected or was too slow. */
export type RejectedPush = 'busy' | 'too_large' | 'broken'

export interface ReadDependencies {
  readonly bytes: BytesInFlight
  readonly now: Clock
}

/**
 * Reads a push if there is room for it, and keeps the room until `work` has ended.
 *
 * A push whose declared length exceeds the room is not read at all. Rejects as `work` does.
 */
export async function readPush<T>(
  request: PushRequest,
  { bytes, now }: ReadDependencies,
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
async function readAndParse(
  request: PushRequest,
  room: Reservation,
  now: Clock,
): Promise<ParsedDelivery | RejectedPush> {
  const body = await readBody(request, room)
  return typeof body === 'string' ? body : parseDelivery(request.headers, body, now())
}

function readBody({ headers, body }: PushRequest, room: Reservation): Promise<Uint8Array | RejectedPush> {
  const declared = Number(headers.get('content-length') ?? Number.POSITIVE_INFINITY)
  const isShort = declared <= SHORT_PUSH_BYTES
  const { promise, resolve } = Promise.withResolvers<Uint8Array | RejectedPush>()
  const chunks: Uint8Array[] = []
  let length = 0
  function take(chunk: Uint8Array): void {
    length += chunk.byteLength
    const rejected = length > MAX_PUSH_BYTES ? 'too_large' : isShort || room.grow(chunk.byteLength) ? undefined : 'busy'
    if (rejected === undefined) chunks.push(chunk)
    else end(rejected)
  }
  function end(result: Uint8Array | RejectedPush): void {
    body.off('data', take)
    resolve(result)
  }
  if (isShort && !room.grow(declared)) return Promise.resolve('busy')
  if (body.destroyed) return Promise.resolve('broken')
  body.on('data', take)
  body.once('end', () => end(Buffer.concat(chunks)))
  body.once('error', () => end('broken'))
  // Follows `end` too, and changes nothing then.
  body.once('close', () => end('broken'))
  return promise
}
