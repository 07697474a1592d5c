import { z } from 'zod'

/** No store keeps fractions; a time that was drawn at random has some. */
export const whole = z.number().transform(Math.round).pipe(z.int())
/** Epoch milliseconds, up to the last second that a timestamp of Firestore can be. */
export const time = whole.pipe(z.number().min(0).max(253_402_300_799_000))
