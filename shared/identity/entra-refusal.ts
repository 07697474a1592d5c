import { z } from 'zod'
import { defined } from '../lib/defined.ts'
import type { TokenErrorDetails } from './token-error.ts'

const MAX_NUMBERS = 20
/** The number stands first and the text next to it. */
const MAX_DESCRIPTION_LENGTH = 2_000

/**
 * The one text by which a caller can know that Entra could not fetch the issuer's keys: it comes under several numbers
 * (50166, 90061 and 501661 were seen) with 400 and invalid_request, as a fault of the caller's would.
 */
const KEYS_UNREADABLE = /request to external oidc endpoint failed/i

const name = z.string().regex(/^[\w.-]{1,100}$/)
/** Each field is read by itself: one that is odd or absent does not hide the others. */
const refusalBody = z.object({
  error: name.optional().catch(undefined),
  error_codes: z.unknown().optional(),
  error_description: z.string().catch(''),
  correlation_id: name.optional().catch(undefined),
})

/**
 * Reads what the body of a refusal says, as far as it can be read.
 *
 * The description is only matched and never kept: it may quote the request.
 */
export function readEntraRefusal(body: unknown): TokenErrorDetails {
  const { success, data } = refusalBody.safeParse(body)
  if (!success) return {}
  const { error, error_codes, error_description, correlation_id } = data
  const aadsts = numbersIn(error_codes, error_description)
  return {
    ...defined({ code: error }),
    ...(aadsts.length > 0 && { aadsts }),
    ...defined({ correlationId: correlation_id }),
    ...(saysKeysAreUnreadable(error_description) && { keysUnreadable: true }),
  }
}

/** Whether Entra, or what reports its words, says that it could not fetch the keys of the ID token's issuer. */
export function saysKeysAreUnreadable(description: string): boolean {
  return KEYS_UNREADABLE.test(description.slice(0, MAX_DESCRIPTION_LENGTH))
}

/** Numbers, or text with a number in it, in a list or alone; without any, the one that the description begins with. */
function numbersIn(codes: unknown, description: string): readonly number[] {
  const listed = [codes].flat().slice(0, MAX_NUMBERS).flatMap(numberIn)
  return listed.length > 0 ? listed : numberIn(/^AADSTS\d+/.exec(description)?.[0])
}

function numberIn(code: unknown): number[] {
  const [, digits] = /^(?:AADSTS)?(\d{4,10})$/.exec(typeof code === 'number' ? String(code) : textOf(code)) ?? []
  return digits === undefined ? [] : [Number(digits)]
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
