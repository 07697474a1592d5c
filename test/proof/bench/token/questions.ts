import { z } from 'zod'

/** What a contestant of the token benches can be asked. */
export const question = z.discriminatedUnion('kind', [
  /** So many jobs at once, with the clock so far ahead; `isCold`: at an instance that has just started. */
  z.object({ kind: z.literal('crowd'), jobs: z.int(), aheadMs: z.int(), isCold: z.boolean() }),
  /** One get after the other, while the token is good. */
  z.object({ kind: z.literal('warm') }),
  /** So many new instances, each asking until it has a token. */
  z.object({ kind: z.literal('recover'), instances: z.int() }),
  z.object({ kind: z.literal('heap') }),
])

/** `waited`: jobs whose token took half a second or longer. */
export const crowdAnswer = z.object({ served: z.int(), waited: z.int(), longestMs: z.number() })
export type CrowdAnswer = z.infer<typeof crowdAnswer>

export const warmAnswer = z.object({ gets: z.int(), medianUs: z.number() })
export type WarmAnswer = z.infer<typeof warmAnswer>

/** When each instance had its first token, in epoch milliseconds. */
export const recoverAnswer = z.object({ servedAt: z.array(z.number()) })
export type RecoverAnswer = z.infer<typeof recoverAnswer>

/** After a collection of garbage; `codeBytes` of it are what V8 has compiled. */
export const heapAnswer = z.object({ heapBytes: z.number(), codeBytes: z.number() })
export type HeapAnswer = z.infer<typeof heapAnswer>
