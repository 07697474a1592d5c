import type { BytesInFlight, Reservation } from '../delivery/bytes-in-flight.ts'
import type { ReadDelivery } from '../delivery/delivery.ts'
import { readDelivery } from './parse-delivery.ts'

/** A message of Pub/Sub's 10 MB in base64, with room for its attributes and the envelope. */
export const MAX_PUSH_BYTES = 14_500_000

/** A push of at most so many bytes takes its room at once: read whole, it costs less than in chunks. */
const SHORT_PUSH_BYTES = 16 * 1_024

/** Why a push was not read. busy: there is no room now. broken: its caller went away, or was too slow. */
export type NotTaken = 'busy' | 'too_large' | 'broken'

/**
 * Reads a push if there is room for it, and keeps the room until the work with it has ended.
 *
 * One that says that it is longer than there is room for is not read at all. Rejects as the work does.
 */
export async function takePush<T>(
  request: Request,
  { bytes, now }: { readonly bytes: BytesInFlight; readonly now: () => number },
  work: (read: ReadDelivery, room: Reservation) => Promise<T>,
): Promise<T | NotTaken> {
  const length = Number(request.headers.get('content-length') ?? 0)
  if (length > MAX_PUSH_BYTES) return 'too_large'
  const room = bytes.admit(length)
  if (room === undefined) return 'busy'
  try {
    const read = await readPush(request, room, now)
    return typeof read === 'string' ? read : await work(read, room)
  } finally {
    room.release()
  }
}

/** The raw body ends here: what a delivery is made of is copied from it, and it would be held as long as the job. */
async function readPush(request: Request, room: Reservation, now: () => number): Promise<ReadDelivery | NotTaken> {
  const body = await readBody(request, room).catch(() => 'broken' as const)
  return typeof body === 'string' ? body : readDelivery(request.headers, body, now())
}

async function readBody(request: Request, room: Reservation): Promise<Uint8Array | NotTaken> {
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
