import { z } from 'zod'
import { time, whole } from './stored-numbers.ts'

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
