import { z } from 'zod'
import type { Failure, FailureKind } from '../job/failures.ts'
import { readDenial } from './denial.ts'

/** An answer of Azure that is not a 2xx, as far as it is of use. */
export interface Refusal {
  readonly httpStatus: number
  readonly headers: Headers
  /** The `error` object of the body, if it has one. */
  readonly error: unknown
}

const azureError = z.object({
  code: z.union([z.string(), z.number()]).nullish(),
  message: z.string().nullish(),
  innererror: z.object({ code: z.string().nullish() }).nullish(),
})

/** What an answer of Azure that is no success can mean. */
export type RefusalKind = Extract<
  FailureKind,
  'unauthorized' | 'forbidden' | 'no_deployment' | 'rejected' | 'throttled' | 'ambiguous'
>

/** What Azure says may quote the prompt, so only its codes are passed on; these are our words for them. */
const MESSAGES: Readonly<Record<RefusalKind, string>> = {
  unauthorized: 'Azure OpenAI refused the token',
  forbidden: 'Azure OpenAI knows the caller and denies it this deployment',
  no_deployment: 'Azure OpenAI has no such deployment',
  rejected: 'Azure OpenAI refused the request for what it says',
  throttled: "the deployment's quota is used up for now",
  ambiguous: 'Azure OpenAI failed after the request was sent',
}

const HINTS: Partial<Record<RefusalKind, string>> = {
  no_deployment:
    'Create the deployment, or correct its name in AZURE_OPENAI_DEPLOYMENT or DEPLOYMENTS; then replay the job.',
}

const CODE_HINTS: ReadonlyMap<string | undefined, string> = new Map([
  [
    'content_filter',
    "The prompt tripped the deployment's content filter. Change the prompt, or ask for another filter policy.",
  ],
  [
    'context_length_exceeded',
    "The prompt and the answer it asks for are longer than the model's context. Split the document.",
  ],
  [
    'OperationNotSupported',
    "The deployment's model does not do what the job's url asks for. Name another model in the job's body.",
  ],
])

const VERSION_HINT =
  "Azure does not take this request under this API version. Correct OPENAI_API_VERSION, or leave it out for the v1 API; check the endpoint's address, too. Then replay the job."

/** Says in our own terms why Azure refused a request. */
export function readRefusal({ httpStatus, headers, error }: Refusal): Failure {
  const { data } = azureError.safeParse(error)
  const code = data?.code === null || data?.code === undefined ? undefined : String(data.code)
  const inner = data?.innererror?.code ?? undefined
  const said = sayRefusal(kindOf(httpStatus, code), code)
  const requestId = requestIdOf(headers)
  const retryAfterMs = retryAfter(headers)
  return {
    ...said,
    httpStatus,
    ...(code === undefined || inner === undefined ? {} : { code: `${code}/${inner}` }),
    ...(isAboutVersion(code, data?.message ?? '') ? { hint: VERSION_HINT } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** A failure in our own words; of Azure's there is only the code. */
export function sayRefusal(kind: RefusalKind, code: string | undefined): Failure {
  const hint = CODE_HINTS.get(code) ?? HINTS[kind]
  return {
    kind,
    message: MESSAGES[kind],
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
  }
}

function kindOf(httpStatus: number, code: string | undefined): RefusalKind {
  if (readDenial(httpStatus, code) !== undefined) return 'forbidden'
  if (httpStatus === 401) return 'unauthorized'
  // For responses the deployment stands in the body, and one that is unknown can come as a 400.
  if (httpStatus === 404 || code === 'model_not_found') return 'no_deployment'
  if (httpStatus === 429) return 'throttled'
  if (httpStatus === 408 || httpStatus >= 500) return 'ambiguous'
  return 'rejected'
}

/** A version that is unknown is an address that is not found; one that is too old for the request is told in words. */
function isAboutVersion(code: string | undefined, message: string): boolean {
  return code === '404' || (code === 'BadRequest' && /\bapi[- ]versions?\b/i.test(message))
}

/** Names the call to Azure's support. */
export function requestIdOf(headers: Headers): string | undefined {
  return headers.get('apim-request-id') ?? headers.get('x-request-id') ?? undefined
}

/** Milliseconds, from either of Azure's two headers; the finer one first. Each may be missing, empty or -1. */
function retryAfter(headers: Headers): number | undefined {
  const inMs = Number(headers.get('retry-after-ms') || Number.NaN)
  if (inMs >= 0) return inMs
  const inSeconds = Number(headers.get('retry-after') || Number.NaN)
  return inSeconds >= 0 ? inSeconds * 1_000 : undefined
}
