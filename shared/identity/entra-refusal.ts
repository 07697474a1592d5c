import { z } from 'zod'
import { defined } from '../lib/defined.ts'
import type { TokenErrorDetails } from './token-error.ts'

const MAX_NUMBERS = 20
/** The number is at the beginning, followed by the text. */
const MAX_DESCRIPTION_LENGTH = 2_000

/**
 * The text by which a caller can detect that Entra could not fetch the issuer's keys. Entra sends it with several numbers
 * (50166, 90061 and 501661 were seen), and with 400 and invalid_request, like an error of the caller.
 */
const KEYS_UNREADABLE = /request to external oidc endpoint failed/i

const name = z.string().regex(/^[\w.-]{1,100}$/)
/** Each field is read separately. A malformed or absent field does not hide the others. */
const refusalBody = z.object({
  error: name.optional().catch(undefined),
  error_codes: z.unknown().optional(),
  error_description: z.string().catch(''),
  correlation_id: name.optional().catch(undefined),
})

/**
 * Reads the readable fields from the body of a refusal.
 *
 * The description is only matched and never kept, because it may quote the request.
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

/** Whether a message of Entra, or a report of it, says that Entra could not fetch the keys of the ID token's issuer. */
export function saysKeysAreUnreadable(description: string): boolean {
  return KEYS_UNREADABLE.test(description.slice(0, MAX_DESCRIPTION_LENGTH))
}

/** Reads numbers, or texts with a number, from a list or a single value. Without any, reads the description's number. */
function numbersIn(codes: unknown, description: string): readonly number[] {
  const listed = [codes].flat().slice(0, MAX_NUMBERS).flatMap(numberIn)
  return listed.length > 0 ? listed : numberIn(/^AADSTS\d+/.exec(description)?.[0])
}

function numberIn(code: unknown): number[] {
  const [, digits] = /^(?:AADSTS)?(\d{4,10})$/.exec(typeof code === 'number' ? String(code) : textOf(code)) ?? []
  return digits === undefined ? [] : [Number(digits)]
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
