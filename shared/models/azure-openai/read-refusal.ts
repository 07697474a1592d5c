import type { Deployment } from '../../config/deployments.ts'
import type { Failure, FailureKind } from '../../job/failures.ts'
import type { Usage } from '../../job/record.ts'
import { defined } from '../../lib/defined.ts'
import { readRetryAfter } from '../../lib/retry-after.ts'
import { type Denial, readDenial, withDataAction } from './denial.ts'
import { type AzureError, readError } from './read-error.ts'
import { sayLimit } from './read-limit.ts'
import { readRateLimit } from './read-rate-limit.ts'

/** The relevant parts of an answer of Azure that is not a 2xx. */
export interface Refusal {
  readonly httpStatus: number
  readonly headers: Headers
  /** The `error` object of the body, if it has one. */
  readonly error: unknown
  /** Where the request went. */
  readonly deployment: Pick<Deployment, 'rpm' | 'tpm'>
}

/** The kinds of failure that a refusal of Azure can be. */
export type RefusalKind = Extract<
  FailureKind,
  'unauthorized' | 'forbidden' | 'no_deployment' | 'rejected' | 'throttled' | 'unavailable' | 'ambiguous'
>

/** Azure's messages may quote the prompt, so only its codes are kept. These messages replace Azure's. */
const MESSAGES: Readonly<Record<RefusalKind, string>> = {
  unauthorized: 'Azure OpenAI refused the token',
  forbidden: 'Azure OpenAI knows the caller and denies it this deployment',
  no_deployment: 'Azure OpenAI has no such deployment',
  rejected: 'Azure OpenAI refused the content of the request',
  throttled: "the deployment's quota is used up for now",
  unavailable: 'Azure OpenAI cannot serve requests now',
  ambiguous: 'Azure OpenAI failed after the request was sent',
}

/** Denials whose explanation needs no value of the settings. */
const DENIALS: Partial<Readonly<Record<Denial, Pick<Failure, 'message' | 'hint'>>>> = {
  network: {
    message: 'the Azure OpenAI resource refuses requests from this network',
    hint: "The network rules of the Azure OpenAI resource refuse the worker's address. Allow that address under the resource's Networking (Cloud Run has a fixed one only behind Cloud NAT), or reach the resource through its private endpoint; the endpoint must be the resource's own, https://NAME.openai.azure.com.",
  },
  volume: {
    message: 'the Azure OpenAI resource has used up its calls for days',
    hint: "The calls of the resource's free pricing tier are used up. Move the resource to a paid tier, or wait until its period is over.",
  },
  subdomain: {
    message: 'the Azure OpenAI resource takes no Entra tokens at this endpoint',
    hint: 'Entra tokens are taken only at an address of the resource itself. Give the resource a custom subdomain, and set the endpoint to https://NAME.openai.azure.com in AZURE_OPENAI_ENDPOINT or DEPLOYMENTS.',
  },
}

const HINTS: Partial<Record<RefusalKind, string>> = {
  no_deployment:
    'Create the deployment, or correct its name in AZURE_OPENAI_DEPLOYMENT or DEPLOYMENTS; then replay the job.',
}

/** Azure's code, and the finish reason of an answer that the filter truncated. */
export const FILTERED = 'content_filter'

const CODE_HINTS: ReadonlyMap<string | undefined, string> = new Map([
  [
    FILTERED,
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
  [
    'previous_response_not_found',
    'Azure OpenAI does not have the response that previous_response_id names. It may have been deleted, or be too new to be found: check the id; then replay the job.',
  ],
  [
    'unsupported_parameter: max_tokens',
    "This model takes max_completion_tokens in place of max_tokens. Rename the field in the job's body.",
  ],
])

const VERSION_HINT =
  "Azure does not take this request under this API version. Correct OPENAI_API_VERSION, or leave it out for the v1 API; check the endpoint's address, too. Then replay the job."
const NO_SUCH_ADDRESS = { message: 'Azure OpenAI has nothing at this address', hint: VERSION_HINT }

/** Statuses besides 5xx that may pass: a lock, an overloaded back end, a gateway whose caller disconnected. */
const PASSING: readonly number[] = [409, 424, 425, 499]

/** Converts Azure's refusal to a failure. `now`: epoch milliseconds. */
export function readRefusal({ httpStatus, headers, error, deployment }: Refusal, now: number): Failure {
  const said = readError(error)
  const denial = readDenial(httpStatus, said.code, said.message)
  const kind = denial === undefined ? kindOf(httpStatus, said, headers) : 'forbidden'
  const code = codeOf(kind, said)
  const requestId = requestIdOf(headers)
  const retryAfterMs = readRetryAfter((name) => headers.get(name), now)
  const failure: Failure = {
    ...sayRefusal(kind, code),
    ...(kind === 'no_deployment' && isAboutAddress(said) ? NO_SUCH_ADDRESS : {}),
    ...(isAboutVersion(said) ? { hint: VERSION_HINT } : {}),
    ...(denial === 'redirect' ? sayRedirect(headers) : denial && DENIALS[denial]),
    httpStatus,
    ...(isProofOfToken(httpStatus, kind, said) ? { fromService: true } : {}),
    ...defined({ requestId, retryAfterMs }),
  }
  if (kind !== 'throttled') return failure
  return sayLimit(failure, { said, headers, rateLimit: readRateLimit(headers), deployment })
}

/** A failure with Promptbridge's message. Only the code is Azure's. */
export function sayRefusal(kind: RefusalKind, code: string | undefined): Failure {
  const hint = CODE_HINTS.get(code) ?? CODE_HINTS.get(code?.split('/')[0]) ?? HINTS[kind]
  return {
    kind,
    message: MESSAGES[kind],
    ...defined({ code, hint }),
  }
}

/** The filter removed the whole answer, and would do so again. `usage`: the billed tokens, if they are known. */
export function sayFiltered(usage: Usage | undefined): Failure {
  return {
    kind: 'rejected',
    message: "the deployment's content filter removed the whole answer",
    code: FILTERED,
    hint: 'Azure has billed this attempt. Change the prompt, or ask for another filter policy; then replay the job.',
    ...(usage && { usage }),
  }
}

function kindOf(httpStatus: number, said: AzureError, headers: Headers): RefusalKind {
  if (httpStatus === 401) return 'unauthorized'
  // For responses the body names the deployment, and Azure can answer an unknown one with a 400.
  if (said.code === 'model_not_found') return 'no_deployment'
  if (httpStatus === 404) return isAboutRequest(said) ? 'rejected' : 'no_deployment'
  if (httpStatus === 429) return 'throttled'
  // It may have been processed and billed.
  if (httpStatus === 408) return 'ambiguous'
  const mayPass = httpStatus >= 500 || PASSING.includes(httpStatus) || headers.get('x-should-retry') === 'true'
  return mayPass ? 'unavailable' : 'rejected'
}

/** Of a 404: it is something that the request names which is not found, such as an earlier response or a file. */
function isAboutRequest({ code, param }: AzureError): boolean {
  return (param !== undefined && param !== 'model') || /_not_found$/.test(code ?? '')
}

/** Of a 404: Azure names a deployment that it does not have by a code. Without one, the address itself is not found. */
function isAboutAddress({ code }: AzureError): boolean {
  return code === undefined || code === '404'
}

/** A version that is too old for the request, or does not go with it, is named in words only. */
function isAboutVersion({ code, message }: AzureError): boolean {
  return code === 'BadRequest' && /\bapi[- ]versions?\b/i.test(message)
}

/** Azure's code, and what it is about: the inner code, the data action that is missing, or the field of the body. */
function codeOf(kind: RefusalKind, { code, type, param, innerCode, message }: AzureError): string | undefined {
  if (code !== undefined && innerCode !== undefined) return `${code}/${innerCode}`
  const name = code ?? type
  if (kind === 'forbidden') return withDataAction(name, message)
  const isSaidAlready = param === undefined || CODE_HINTS.has(name)
  return isSaidAlready || kind !== 'rejected' ? name : `${name ?? 'param'}: ${param}`
}

/** The service checks the request and its quota only after it has accepted the token. */
function isProofOfToken(httpStatus: number, kind: RefusalKind, { isServices }: AzureError): boolean {
  return isServices && kind !== 'forbidden' && (httpStatus === 400 || httpStatus === 429)
}

/** A redirect is never followed, because the prompt and the token would go to another host. */
function sayRedirect(headers: Headers): Pick<Failure, 'code' | 'message' | 'hint'> {
  const to = redirectTarget(headers.get('location'))
  return {
    code: 'redirect',
    message: 'the endpoint redirects to another address, which was not asked',
    hint: `The endpoint redirects to ${to}. Nothing was sent there. Set AZURE_OPENAI_ENDPOINT, or the endpoint in DEPLOYMENTS, to the resource's own address, https://NAME.openai.azure.com; if it is, look for a gateway or a proxy on the way.`,
  }
}

const MAX_HOST = 255
const SAME_HOST = 'relative.invalid'

/** Only the host, because a path or a query may contain a secret. */
function redirectTarget(location: string | null): string {
  const host = URL.parse(location ?? '', `https://${SAME_HOST}`)?.host ?? ''
  if (location === null || host === '' || host.length > MAX_HOST) return 'an unknown address'
  return host === SAME_HOST ? 'another path of the same host' : host
}

/** The id by which Azure's support finds the call. */
export function requestIdOf(headers: Pick<Headers, 'get'>): string | undefined {
  return headers.get('apim-request-id') ?? headers.get('x-request-id') ?? undefined
}
