import { z } from 'zod'

/** Rounds a number, because stores keep no fractions. A time with random jitter has a fraction. */
export const whole = z.number().transform(Math.round).pipe(z.int())
/** The last second that a timestamp of Firestore can be, in epoch milliseconds. */
export const NEVER = 253_402_300_799_000
/** Epoch milliseconds, up to that second. */
export const time = whole.pipe(z.number().min(0).max(NEVER))

/**
 * A newer version may have written a stored document, or a person may have edited it. These schemas read each field
 * separately. A field that cannot be read counts as absent.
 */
export const lenient = {
  text: z.string().optional().catch(undefined),
  number: z.number().optional().catch(undefined),
  whole: whole.optional().catch(undefined),
  time: time.optional().catch(undefined),
} as const

/** Without the fields that have no value. */
export function given(map: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined))
}
