import type { FederationSettings } from './federation-settings.ts'
import type { TokenErrorDetails } from './token-error.ts'

/** What hints name, each fit to be shown. */
export interface HintValues {
  readonly client: string
  readonly tenant: string
  readonly authority: string
  readonly scope: string
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  /** What came back, as in `503 temporarily_unavailable`. */
  readonly answer: string
}

const GOOGLE_ISSUER = 'https://accounts.google.com'
const MAX_SHOWN = 200
/** OAuth errors that are about the service and not about the request, under whatever status they come. */
const PASSING_CODES: readonly (string | undefined)[] = ['temporarily_unavailable', 'server_error']

/** The values of one failure; what the ID token does not say is taken from Google and the settings. */
export function gatherValues(details: TokenErrorDetails, us: FederationSettings): HintValues {
  const { presented, httpStatus, code } = details
  return {
    client: show(us.clientId),
    tenant: show(us.tenantId),
    authority: show(us.authorityHost),
    scope: show(us.scope),
    issuer: show(presented?.issuer ?? GOOGLE_ISSUER),
    subject:
      presented === undefined
        ? "what `gcloud iam service-accounts describe EMAIL --format='value(uniqueId)'` prints"
        : show(presented.subject),
    audience: show(presented?.audience ?? us.audience),
    answer: [httpStatus, code].flatMap((part) => (part === undefined ? [] : [show(String(part))])).join(' '),
  }
}

/** Claims and codes come from outside: what is long, unprintable or may be a token is not repeated. */
function show(value: string): string {
  const isPlain = /^[\x20-\x7e]+$/.test(value) && value.length <= MAX_SHOWN
  return isPlain && !/eyJ|ya29\./.test(value) ? value : '(not shown)'
}

/** Whether an answer ends by itself, whatever its body says. No status is no answer. */
export function isPassing({ httpStatus, code }: TokenErrorDetails): boolean {
  if (httpStatus === undefined || PASSING_CODES.includes(code)) return true
  return httpStatus < 400 || httpStatus === 408 || httpStatus === 429 || httpStatus >= 500
}
