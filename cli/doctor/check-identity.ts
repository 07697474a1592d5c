import { TOKEN_CREATOR } from '../../shared/identity/explain-legs.ts'
import type { GoogleIdToken } from '../../shared/identity/google-id-token.ts'
import type { AccessToken } from '../../shared/identity/renewal.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import type { TokenSettings } from '../../shared/identity/token-fetcher.ts'
import type { Clock } from '../../shared/lib/clock.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import { type Claims, readClaims } from '../token/read-claims.ts'
import { openTokenLegs } from '../token/token-legs.ts'
import type { Checks, Finding } from './step.ts'

const MAX_CLOCK_DIFFERENCE_S = 300
const GOOGLE_ISSUER = 'https://accounts.google.com'

/** The result of the checks of Google and Entra. */
export interface Identity {
  /** The access token, only for the next checks. */
  readonly token: AccessToken | undefined
  /** E-mail of the service account that the ID token names. */
  readonly account: string | undefined
}

const GOOGLE = 'Google ID token'
const CLAIMS = 'ID token claims'
const ENTRA = 'Entra'

export interface IdentitySettings extends TokenSettings {
  /** Whether the worker gets its tokens without this login, which only impersonates it. */
  readonly isElsewhere: boolean
}

/** Gets both tokens as the worker does, and checks their claims. `now`: epoch milliseconds. */
export async function checkIdentity(checks: Checks, settings: IdentitySettings, now: Clock): Promise<Identity> {
  const legs = openTokenLegs(settings, now)
  if (legs.kind === 'azure-cli') {
    const why = "TOKEN_SOURCE is azure-cli: the developer's own login is used, without a Google token"
    checks.report(GOOGLE, { ok: null, seen: why })
    checks.report(CLAIMS, { ok: null, seen: why })
    const token = await checks.run(ENTRA, () => getAzureToken(() => legs.azure(), settings, now))
    return { token, account: undefined }
  }
  const idToken = await checks.run(GOOGLE, () => getIdToken(() => legs.google(), settings))
  if (idToken === undefined) {
    checks.report(CLAIMS, { ok: null, seen: 'there is no ID token' })
    checks.report(ENTRA, { ok: null, seen: 'there is no ID token to exchange' })
    const { tokenSource: source } = settings
    return { token: undefined, account: source.kind === 'impersonate' ? source.serviceAccount : undefined }
  }
  const claims = readClaims(idToken.value) ?? {}
  checks.report(CLAIMS, judgeClaims(claims, settings, now()))
  const token = await checks.run(ENTRA, () => getAzureToken(() => legs.entra(idToken), settings, now))
  return { token, account: claims.email }
}

/** Reports that the tokens were not requested. */
export function skipIdentity(checks: Checks, seen: string): void {
  for (const step of [GOOGLE, CLAIMS, ENTRA]) checks.report(step, { ok: null, seen })
}

async function getIdToken(
  fetch: () => Promise<GoogleIdToken>,
  settings: IdentitySettings,
): Promise<Finding<GoogleIdToken>> {
  const { tokenSource, isElsewhere } = settings
  const by =
    tokenSource.kind === 'impersonate'
      ? `of ${tokenSource.serviceAccount}, by impersonation`
      : 'of the service account of this process, from the metadata server'
  try {
    return { ok: true, seen: `received: an ID token ${by}`, value: await fetch() }
  } catch (error) {
    // Operators need not be allowed to impersonate the worker. This is no failure of the worker itself.
    if (isElsewhere && error instanceof TokenError && error.details.httpStatus === 403)
      return {
        ok: null,
        seen: `not received: an ID token ${by}. This login lacks ${TOKEN_CREATOR}; the worker does not need this role`,
      }
    return explain(error, settings, `an ID token ${by}`)
  }
}

async function getAzureToken(
  fetch: () => Promise<AccessToken>,
  settings: TokenSettings,
  now: Clock,
): Promise<Finding<AccessToken>> {
  const { tenantId, clientId, scope, authorityHost } = settings.federation
  const whose = clientId === '' ? "for the Azure CLI's login" : `for application ${clientId}`
  const asked = `${whose} in tenant ${tenantId} at ${authorityHost}, scope ${scope}`
  try {
    const token = await fetch()
    const minutes = Math.round((token.expiresAt - now()) / 60_000)
    return { ok: true, seen: `an access token ${asked}, valid for ${minutes} min`, value: token }
  } catch (error) {
    return explain(error, settings, `an access token ${asked}`)
  }
}

function explain(error: unknown, { federation }: TokenSettings, expected: string): Finding<never> {
  if (!(error instanceof TokenError)) throw error
  const { correlationId } = error.details
  const reference = correlationId === undefined ? '' : ` (correlation id ${correlationId})`
  return { ok: false, seen: error.message + reference, expected, fix: diagnose(error, federation).hint }
}

/** Compares the ID token's claims with the settings and with this clock. `now`: epoch milliseconds. */
function judgeClaims(claims: Claims, { federation, tokenSource }: TokenSettings, now: number): Finding {
  const { iss = 'none', sub = 'none', aud = 'none', email = 'none', iat, exp } = claims
  const { clientId, audience } = federation
  const seen = `iss ${iss}, sub ${sub}, aud ${aud}, email ${email}; ${timesOf(claims, now)}`
  const expected = `in Entra, the federated credential of application ${clientId}: Issuer = ${GOOGLE_ISSUER}, Subject = ${sub} (the unique id, not the e-mail), Audience = ${audience}`
  const clock = clockProblem(iat, exp, now / 1_000, tokenSource.kind === 'impersonate')
  const fixes = [
    ...(aud === audience
      ? []
      : [`The ID token is for another audience than AZURE_FEDERATED_AUDIENCE (${audience}): ${WHO_ANSWERS}`]),
    ...(iss === GOOGLE_ISSUER ? [] : [`The ID token is not by ${GOOGLE_ISSUER}: ${WHO_ANSWERS}`]),
    ...(clock === undefined ? [] : [clock]),
  ]
  return fixes.length === 0
    ? { ok: true, seen, expected, value: undefined }
    : { ok: false, seen, expected, fix: fixes.join('\n') }
}

const WHO_ANSWERS =
  'another server answers in place of Google. Check GCE_METADATA_HOST, and any proxy between this machine and the metadata server.'

function timesOf({ iat, exp }: Claims, now: number): string {
  if (iat === undefined || exp === undefined) return 'without iat and exp'
  const age = Math.round(now / 1_000 - iat)
  const left = Math.round((exp - now / 1_000) / 60)
  const made = age < 0 ? `issued ${-age} s ahead of this clock` : `issued ${age} s ago by this clock`
  return `${made}, ${left < 0 ? `expired ${-left} min ago` : `valid for ${left} min`}`
}

/**
 * Compares this clock with Google's. A fresh token gives Google's time to the second. The metadata server returns the same
 * token for most of its hour, so there its age alone shows nothing. All in seconds since 1970.
 */
function clockProblem(
  iat: number | undefined,
  exp: number | undefined,
  now: number,
  isFresh: boolean,
): string | undefined {
  if (iat === undefined || exp === undefined) return undefined
  const slowBy = iat - now
  const fastBy = isFresh ? now - iat : now - exp
  if (slowBy > MAX_CLOCK_DIFFERENCE_S) return fixClock(slowBy, 'behind')
  if (isFresh ? fastBy > MAX_CLOCK_DIFFERENCE_S : fastBy >= 0) return fixClock(now - iat, 'ahead of')
  return undefined
}

function fixClock(byS: number, side: 'behind' | 'ahead of'): string {
  return `This machine's clock is ${Math.round(byS / 60)} min ${side} Google's, and Entra accepts an ID token only between its iat and exp. Synchronize the clock with a time server (timedatectl set-ntp true).`
}
