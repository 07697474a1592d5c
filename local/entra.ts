import { writeFile } from 'node:fs/promises'
import type { Hono } from 'hono'
import { createRemoteJWKSet, type JWTVerifyGetKey } from 'jose'
import { PRIVATE_FILE } from '../shared/lib/private-files.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { type Dependencies, realDependencies } from './dependencies.ts'
import { entraHeaders, refuse } from './entra/answers.ts'
import { accessTokenClaims, openIdConfiguration } from './entra/documents.ts'
import { type Directory, exchange, type FederatedCredential } from './entra/exchange.ts'
import { ENTRA_ERRORS, type EntraError } from './fixtures/entra-errors.ts'
import { AZURE, ENTRA, GOOGLE } from './identities.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'
import { createSigningKey, type SigningKey } from './signing-key.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface EntraOptions extends StandInOptions {
  /** The address of the keys that sign assertions. */
  readonly assertionKeysUrl: string
  readonly credentials?: readonly FederatedCredential[]
  readonly resources?: readonly string[]
  /** MSAL treats a token as expired five minutes before its end, so shorter tokens are never cached. */
  readonly tokenLifetimeSeconds?: number
  /** Given with the certificate when callers of an earlier stand-in must trust this one and the earlier tokens. */
  readonly key?: SigningKey
  readonly certificate?: Certificate
  /** The path for the certificate, for NODE_EXTRA_CA_CERTS. */
  readonly caPath?: string
}

export interface Entra extends StandIn {
  /** The CA that a caller must trust. */
  readonly caPem: string
  /** Where Entra's public keys are. */
  readonly keysUrl: string
}

interface Realm {
  readonly directory: Directory
  readonly key: SigningKey
  readonly assertionKeys: JWTVerifyGetKey
  readonly lifetimeSeconds: number
  readonly dependencies: Dependencies
}

/** The keys are fetched again for an unknown key id after this time, because a restarted metadata server has a new key. */
const KEYS_COOLDOWN_MS = 200

/** Entra for `ClientAssertionCredential`: over TLS, with one tenant and one app registration. */
export async function startEntra(options: EntraOptions): Promise<Entra> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  const [key, certificate] = await Promise.all([
    options.key ?? createSigningKey(),
    options.certificate ?? makeCertificate(),
  ])
  if (options.caPath !== undefined) await writeFile(options.caPath, certificate.certPem, { mode: PRIVATE_FILE })
  const realm: Realm = {
    directory: {
      ...ENTRA,
      credentials: options.credentials ?? [OUR_CREDENTIAL],
      resources: options.resources ?? [AZURE.resource],
    },
    key,
    assertionKeys: createRemoteJWKSet(new URL(options.assertionKeysUrl), { cooldownDuration: KEYS_COOLDOWN_MS }),
    lifetimeSeconds: options.tokenLifetimeSeconds ?? 3_599,
    dependencies,
  }
  const standIn = await serveStandIn(describe(realm, certificate), dependencies, options)
  return { ...standIn, caPem: certificate.certPem, keysUrl: `${standIn.url}/${ENTRA.tenantId}/discovery/v2.0/keys` }
}

export const OUR_CREDENTIAL: FederatedCredential = {
  issuer: GOOGLE.issuer,
  subject: GOOGLE.subject,
  audience: ENTRA.assertionAudience,
}

function describe(realm: Realm, certificate: Certificate): ServiceDescription {
  return {
    service: 'entra',
    certificate,
    operationOf: (path) =>
      path.endsWith('/token') ? 'token' : path.endsWith('/openid-configuration') ? 'discovery' : 'keys',
    isAside: (path) => path.endsWith('/discovery/v2.0/keys'),
    errors: Object.fromEntries(
      Object.entries(ENTRA_ERRORS).map(([name, error]) => [name, (headers) => sample(realm, error, headers)]),
    ),
    route: (app) => addRoutes(app, realm),
  }
}

function addRoutes(
  app: Hono<StandInEnv>,
  { directory, key, assertionKeys, lifetimeSeconds, dependencies }: Realm,
): void {
  app.get('/:tenant/v2.0/.well-known/openid-configuration', (c) => {
    const tenant = c.req.param('tenant')
    if (tenant === directory.tenantId) return c.json(openIdConfiguration(new URL(c.req.url).origin, tenant))
    c.set('detail', { error: 'unknown_tenant_at_discovery' })
    return refuse(ENTRA_ERRORS.unknown_tenant_at_discovery, { tenant }, idIn(c.req.raw.headers), dependencies)
  })
  app.get('/:tenant/discovery/v2.0/keys', (c) => c.json(key.jwks))
  app.post('/:tenant/oauth2/v2.0/token', async (c) => {
    const nowMs = dependencies.now()
    const body = new URLSearchParams(await c.req.text())
    // MSAL sends its request id as a form field, other libraries as a header.
    const clientRequestId = body.get('client-request-id') ?? idIn(c.req.raw.headers)
    const result = await exchange(directory, c.req.param('tenant'), body, assertionKeys, nowMs).catch(
      () => ({ kind: 'refused', error: 'keys_unreadable', values: {} }) as const,
    )
    if (result.kind === 'refused') {
      const error = ENTRA_ERRORS[result.error]
      c.set('detail', { error: result.error, aadsts: error.aadsts })
      return refuse(error, result.values, clientRequestId, dependencies)
    }
    const token = await key.sign(accessTokenClaims(result.resource, nowMs, lifetimeSeconds, dependencies.newId()))
    const granted = { token_type: 'Bearer', expires_in: lifetimeSeconds, ext_expires_in: lifetimeSeconds }
    return c.json({ ...granted, access_token: token }, 200, entraHeaders(clientRequestId))
  })
}

/** An error that a fault returns, with the directory's values in its text. */
function sample({ dependencies }: Realm, error: EntraError, headers: Headers): Response {
  const values = { ...OUR_CREDENTIAL, tenant: ENTRA.tenantId, client: ENTRA.clientId, resource: AZURE.resource }
  return refuse(error, { ...values, scope: AZURE.scope }, idIn(headers), dependencies)
}

const idIn = (headers: Headers): string | undefined => headers.get('client-request-id') ?? undefined
