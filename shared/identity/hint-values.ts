import type { FederationSettings } from './federation-settings.ts'
import type { TokenErrorDetails } from './token-error.ts'

/** The values in hints. Each is safe to display. */
export interface HintValues {
  readonly client: string
  readonly tenant: string
  readonly authority: string
  readonly scope: string
  readonly issuer: string
  readonly subject: string
  readonly audience: string
  /** The status and the code of the answer, as in `503 temporarily_unavailable`. */
  readonly answer: string
}

const GOOGLE_ISSUER = 'https://accounts.google.com'
const MAX_SHOWN = 200
/** OAuth errors that concern the service and not the request, with any status. */
const PASSING_CODES: readonly (string | undefined)[] = ['temporarily_unavailable', 'server_error']

/** The values of one failure. Values that the ID token lacks come from Google and the settings. */
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

/** Claims and codes are outside input. A value that is long, unprintable or may be a token is not displayed. */
function show(value: string): string {
  const isPlain = /^[\x20-\x7e]+$/.test(value) && value.length <= MAX_SHOWN
  return isPlain && !/eyJ|ya29\./.test(value) ? value : '(not shown)'
}

/** Whether a failure is passing, judged by status and OAuth error. Without a status, there was no answer. */
export function isPassing({ httpStatus, code }: TokenErrorDetails): boolean {
  if (httpStatus === undefined || PASSING_CODES.includes(code)) return true
  return httpStatus < 400 || httpStatus === 408 || httpStatus === 429 || httpStatus >= 500
}
