import { z } from 'zod'

/** No store keeps fractions; a time that was drawn at random has some. */
export const whole = z.number().transform(Math.round).pipe(z.int())
/** The last second that a timestamp of Firestore can be, in epoch milliseconds. */
export const NEVER = 253_402_300_799_000
/** Epoch milliseconds, up to that second. */
export const time = whole.pipe(z.number().min(0).max(NEVER))

/**
 * What a store gave may have been written by a newer version or edited by hand. These read a field by itself: one that
 * cannot be read is as if it were not there.
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
