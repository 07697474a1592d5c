import { gaxios } from 'google-auth-library'
import { z } from 'zod'
import { readRetryAfter } from '../lib/retry-after.ts'
import type { TokenErrorDetails } from './token-error.ts'

const short = z.string().regex(/^\w{1,60}$/)
const withStatus = z.object({ status: z.number().int() })
/** The error formats of Google's APIs and of Google's token endpoint. */
const withCode = z.object({
  response: z.object({
    data: z.union([
      z.object({ error: z.object({ status: short }) }).transform(({ error }) => error.status),
      z.object({ error: short }).transform(({ error }) => error),
    ]),
  }),
})

/** Reads Google's refusal from the error of its library. `now`: epoch milliseconds. */
export function readGoogleRefusal(error: unknown, now: number): TokenErrorDetails {
  const answered = withStatus.safeParse(error)
  if (!answered.success) return {}
  const named = withCode.safeParse(error)
  const headers = error instanceof gaxios.GaxiosError ? error.response?.headers : undefined
  const retryAfterMs = readRetryAfter((name) => headers?.get(name), now)
  return {
    httpStatus: answered.data.status,
    ...(named.success && { code: named.data.response.data }),
    // A wait of 0 counts as absent.
    ...(retryAfterMs ? { retryAfterMs } : {}),
  }
}
