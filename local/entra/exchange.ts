import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'
import type { EntraErrorName } from '../fixtures/entra-errors.ts'
import type { ErrorValues } from './answers.ts'

/** A federated credential: the app registration trusts assertions with this issuer, audience and subject. */
export interface FederatedCredential {
  readonly issuer: string
  readonly subject: string
  readonly audience: string
}

/** The content of the directory. */
export interface Directory {
  readonly tenantId: string
  readonly clientId: string
  readonly credentials: readonly FederatedCredential[]
  /** The resources that tokens can be issued for, as application ID URIs. */
  readonly resources: readonly string[]
}

export type Exchange =
  | { readonly kind: 'granted'; readonly resource: string }
  | { readonly kind: 'refused'; readonly error: EntraErrorName; readonly values: ErrorValues }

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const formSchema = z.object({
  grant_type: z.string().default(''),
  client_id: z.string().default(''),
  scope: z.string().default(''),
  client_assertion_type: z.string().default(''),
  client_assertion: z.string().default(''),
})

/**
 * Decides a client-credentials request. Checks in this order: grant, client, scope, claims of the assertion against the
 * federated credentials, signature and times.
 *
 * Rejects only when the issuer's keys cannot be fetched.
 */
export async function exchange(
  directory: Directory,
  tenant: string,
  body: URLSearchParams,
  keys: JWTVerifyGetKey,
  nowMs: number,
): Promise<Exchange> {
  const form = formSchema.parse(Object.fromEntries(body))
  const refused = (error: EntraErrorName, values: ErrorValues = {}): Exchange => ({ kind: 'refused', error, values })

  if (tenant !== directory.tenantId) return refused('unknown_tenant', { tenant })
  if (form.grant_type !== 'client_credentials') return refused('unsupported_grant', { grant: form.grant_type })
  if (form.client_id !== directory.clientId) return refused('unknown_client', { client: form.client_id, tenant })
  const scope = readScope(form.scope, directory)
  if (scope.kind === 'refused') return scope
  if (form.client_assertion === '' || form.client_assertion_type !== JWT_BEARER) return refused('missing_assertion')
  return (await refuseAssertion(directory, form.client_assertion, keys, nowMs)) ?? scope
}

/** Exactly one scope, for one whole resource. */
function readScope(text: string, { resources, tenantId: tenant }: Directory): Exchange {
  const scopes = text.split(' ').filter((part) => part !== '')
  const [scope] = scopes
  if (scope === undefined || scopes.length > 1) return { kind: 'refused', error: 'bad_scope', values: { scope: text } }
  if (!scope.endsWith('/.default')) return { kind: 'refused', error: 'scope_without_default', values: { scope } }
  const resource = scope.slice(0, -'/.default'.length)
  if (resources.includes(resource)) return { kind: 'granted', resource }
  return { kind: 'refused', error: 'unknown_resource', values: { resource, tenant } }
}

async function refuseAssertion(
  directory: Directory,
  assertion: string,
  keys: JWTVerifyGetKey,
  nowMs: number,
): Promise<Exchange | undefined> {
  const parts = decode(assertion)
  if (parts === undefined) return { kind: 'refused', error: 'malformed_assertion', values: {} }
  const mismatch = compareClaims(directory, parts.claims)
  if (mismatch !== undefined) return mismatch
  try {
    await jwtVerify(assertion, keys, { algorithms: ['RS256'], currentDate: new Date(nowMs), requiredClaims: ['exp'] })
    return undefined
  } catch (error) {
    const name = verificationError(error)
    if (name === undefined) throw error
    const values = { keyId: parts.keyId, now: isoTime(nowMs / 1_000), ...times(parts.claims) }
    return { kind: 'refused', error: name, values }
  }
}

function decode(assertion: string): { claims: JWTPayload; keyId: string } | undefined {
  try {
    return { claims: decodeJwt(assertion), keyId: decodeProtectedHeader(assertion).kid ?? '' }
  } catch {
    return undefined
  }
}

/** Checks issuer, audience and subject in the order of their error numbers, each among the credentials that matched before. */
function compareClaims(directory: Directory, { iss = '', sub = '', aud = '' }: JWTPayload): Exchange | undefined {
  const audiences = [aud].flat()
  const values = { issuer: iss, subject: sub, audience: audiences.join(', '), client: directory.clientId }
  const refused = (error: EntraErrorName): Exchange => ({ kind: 'refused', error, values })
  if (directory.credentials.length === 0) return refused('no_federated_credential')
  const ofIssuer = directory.credentials.filter((credential) => credential.issuer === iss)
  if (ofIssuer.length === 0) return refused('wrong_issuer')
  const forAudience = ofIssuer.filter((credential) => audiences.includes(credential.audience))
  if (forAudience.length === 0) return refused('wrong_audience')
  return forAudience.some((credential) => credential.subject === sub) ? undefined : refused('wrong_subject')
}

function verificationError(error: unknown): EntraErrorName | undefined {
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed) return 'expired_assertion'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'bad_signature'
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key'
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JWSInvalid) return 'malformed_assertion'
  return undefined
}

const times = ({ iat = 0, exp = 0 }: JWTPayload): ErrorValues => ({ validFrom: isoTime(iat), expiry: isoTime(exp) })

const isoTime = (seconds: number): string => new Date(seconds * 1_000).toISOString().replace('Z', '0000Z')
