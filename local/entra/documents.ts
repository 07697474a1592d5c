import { ENTRA } from '../identities.ts'

/** A version 1 token, which Azure OpenAI's resource requires. Its issuer differs from the v2.0 issuer of discovery. */
export function accessTokenClaims(resource: string, nowMs: number, lifetimeSeconds: number, id: string) {
  const seconds = Math.floor(nowMs / 1_000)
  return {
    aud: resource,
    iss: tokenIssuer(ENTRA.tenantId),
    iat: seconds,
    nbf: seconds,
    exp: seconds + lifetimeSeconds,
    appid: ENTRA.clientId,
    appidacr: '2',
    idp: tokenIssuer(ENTRA.tenantId),
    idtyp: 'app',
    oid: ENTRA.objectId,
    sub: ENTRA.objectId,
    tid: ENTRA.tenantId,
    uti: id,
    ver: '1.0',
  }
}

export const tokenIssuer = (tenantId: string): string => `https://sts.windows.net/${tenantId}/`

/** MSAL rejects a document whose issuer has another origin than the authority. */
export function openIdConfiguration(origin: string, tenant: string) {
  const base = `${origin}/${tenant}`
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
    jwks_uri: `${base}/discovery/v2.0/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: `${base}/v2.0`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    tenant_region_scope: 'EU',
    cloud_instance_name: 'microsoftonline.com',
  }
}
