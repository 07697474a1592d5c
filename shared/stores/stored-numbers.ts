import { z } from 'zod'

/** No store keeps fractions; a time that was drawn at random has some. */
export const whole = z.number().transform(Math.round).pipe(z.int())
/** The last second that a timestamp of Firestore can be, in epoch milliseconds. */
export const NEVER = 253_402_300_799_000
/** Epoch milliseconds, up to that second. */
export const time = whole.pipe(z.number().min(0).max(NEVER))
