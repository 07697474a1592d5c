import { z } from 'zod'
import type { Failure, FailureKind } from '../../shared/job/failures.ts'

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

/** What Azure says may quote the prompt, so only its codes are passed on; these are our words for them. */
const MESSAGES: Partial<Record<FailureKind, string>> = {
  unauthorized: 'Azure OpenAI refused the token',
  forbidden: 'Azure OpenAI knows the caller and denies it this deployment',
  no_deployment: 'Azure OpenAI has no such deployment',
  rejected: 'Azure OpenAI refused the request for what it says',
  throttled: "the deployment's quota is used up for now",
  ambiguous: 'Azure OpenAI failed after the request was sent',
}

const HINTS: Partial<Record<FailureKind, string>> = {
  forbidden:
    'Give the app registration the role "Cognitive Services OpenAI User" on the Azure OpenAI resource. If you just did, allow 10 minutes.',
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
])

/** Says in our own terms why Azure refused a request. */
export function readRefusal({ httpStatus, headers, error }: Refusal): Failure {
  const { data } = azureError.safeParse(error)
  const code = data?.code === null || data?.code === undefined ? undefined : String(data.code)
  const kind = kindOf(httpStatus, code)
  const inner = data?.innererror?.code ?? undefined
  const hint = CODE_HINTS.get(code) ?? HINTS[kind]
  const requestId = requestIdOf(headers)
  const retryAfterMs = retryAfter(headers)
  return {
    kind,
    httpStatus,
    message: MESSAGES[kind] ?? `Azure OpenAI answered ${httpStatus}`,
    ...(code === undefined ? {} : { code: inner === undefined ? code : `${code}/${inner}` }),
    ...(hint === undefined ? {} : { hint }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

function kindOf(httpStatus: number, code: string | undefined): FailureKind {
  // A role that has not spread yet is a 401 too, for minutes: the token is good, and renewing it would not help.
  if (code === 'PermissionDenied' || httpStatus === 403) return 'forbidden'
  if (httpStatus === 401) return 'unauthorized'
  if (httpStatus === 404) return 'no_deployment'
  if (httpStatus === 429) return 'throttled'
  if (httpStatus === 408 || httpStatus >= 500) return 'ambiguous'
  return 'rejected'
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
