import { z } from 'zod'
import { lenient } from '../endpoint.ts'

/** The relevant fields of a refusal's `error` object. A malformed field is left out, and the others are read. */
export interface AzureError {
  readonly code: string | undefined
  /** What Azure calls this sort of error: `invalid_request_error`. */
  readonly type: string | undefined
  /** The field of the request's body that is at fault. */
  readonly param: string | undefined
  readonly innerCode: string | undefined
  /** The beginning of the message. It may quote the prompt, so it is only matched and never kept. */
  readonly message: string
  /** Whether it has the form of the service itself. A gateway in front of it answers `{"statusCode", "message"}`. */
  readonly isServices: boolean
}

const MAX_CODE = 200
const MAX_MESSAGE = 2_000
const PARAM = /^[\w.[\]]{1,100}$/
const TYPE = /^\w{1,100}$/

const code = z.string().min(1).max(MAX_CODE)

const azureError = z.object({
  code: lenient(z.union([code, z.number().transform(String)])),
  type: lenient(z.string().regex(TYPE)),
  param: lenient(z.string().regex(PARAM)),
  innererror: lenient(z.object({ code: lenient(code) })),
  message: lenient(z.string().transform((text) => text.slice(0, MAX_MESSAGE))),
  statusCode: z.unknown().optional(),
})

/** Reads the `error` object of any answer. */
export function readError(error: unknown): AzureError {
  const { code, type, param, innererror, message, statusCode } = azureError.safeParse(error).data ?? {}
  const isNamed = code !== undefined || type !== undefined
  return {
    code,
    type,
    param,
    innerCode: innererror?.code,
    message: message ?? '',
    isServices: isNamed && message !== undefined && statusCode === undefined,
  }
}
