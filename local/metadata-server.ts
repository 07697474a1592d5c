import type { Context, Hono } from 'hono'
import { type Dependencies, realDependencies } from './dependencies.ts'
import {
  ACCESS_TOKEN_LIFETIME_SECONDS,
  ACCESS_TOKEN_PREFIX,
  accessTokenClaims,
  idTokenClaims,
} from './google-tokens.ts'
import { GOOGLE } from './identities.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'
import { createSigningKey, type SigningKey } from './signing-key.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface MetadataServerOptions extends StandInOptions {
  /** Google's key, given when another stand-in also signs as Google. */
  readonly key?: SigningKey
  readonly subject?: string
  readonly issuer?: string
  /** The audience of every ID token, instead of the requested one. */
  readonly audience?: string
  readonly idTokenLifetimeSeconds?: number
  /** Whether a service account is attached; true when absent. */
  readonly hasServiceAccount?: boolean
}

export interface MetadataServer extends StandIn {
  /** Where Google's public keys are, as a JWK set. */
  readonly certsUrl: string
  /** The same as PEM, by key id, which google-auth-library reads in Node. (The real ones are certificates.) */
  readonly pemCertsUrl: string
}

const CERTS_PATH = '/oauth2/v3/certs'
const PEM_CERTS_PATH = '/oauth2/v1/certs'
const CACHED = { 'cache-control': 'public, max-age=3600' }
const ROOT = '/computeMetadata/v1'
const FLAVOR = { 'metadata-flavor': 'Google', server: 'Metadata Server for Serverless' }

/** Google's metadata server as Cloud Run offers it, and Google's published keys. */
export async function startMetadataServer(options: MetadataServerOptions = {}): Promise<MetadataServer> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  const key = options.key ?? (await createSigningKey())
  const standIn = await serveStandIn(describe(key, dependencies, options), dependencies, options)
  return { ...standIn, certsUrl: standIn.url + CERTS_PATH, pemCertsUrl: standIn.url + PEM_CERTS_PATH }
}

const noServiceAccount = () => new Response('No service account attached.', { status: 404, headers: FLAVOR })

function describe(key: SigningKey, { now }: Dependencies, options: MetadataServerOptions): ServiceDescription {
  return {
    service: 'metadata',
    operationOf: (path) => /\/(certs|identity|token)$/.exec(path)?.[1] ?? 'metadata',
    isAside: (path) => path.endsWith('/certs'),
    errors: {
      // The real server returns this while an instance starts. gcp-metadata retries it.
      unavailable: () => new Response('Service Unavailable', { status: 503, headers: FLAVOR }),
      no_service_account: noServiceAccount,
    },
    route(app) {
      app.get(CERTS_PATH, (c) => c.json(key.jwks, 200, CACHED))
      app.get(PEM_CERTS_PATH, (c) => c.json(key.pems, 200, CACHED))
      app.get('/', (c) => c.text('computeMetadata/\n', 200, FLAVOR))
      app.use(`${ROOT}/*`, async (c, next) => {
        if (c.req.header('metadata-flavor') === 'Google') return next()
        return c.text('Missing Metadata-Flavor:Google header.', 403, FLAVOR)
      })
      app.use(`${ROOT}/instance/service-accounts/:account/*`, async (_, next) => {
        return options.hasServiceAccount === false ? noServiceAccount() : next()
      })
      app.get(`${ROOT}/instance/service-accounts/:account/identity`, async (c) => {
        const audience = c.req.query('audience') ?? ''
        if (audience === '') return c.text('non-empty audience parameter required', 400, FLAVOR)
        c.set('detail', { audience })
        return c.text(await key.sign(claimsFor(audience, now(), options)), 200, FLAVOR)
      })
      app.get(`${ROOT}/instance/service-accounts/:account/token`, async (c) => {
        const token = await key.sign(accessTokenClaims(GOOGLE.serviceAccountEmail, now()))
        const granted = { expires_in: ACCESS_TOKEN_LIFETIME_SECONDS, token_type: 'Bearer' }
        return c.json({ access_token: ACCESS_TOKEN_PREFIX + token, ...granted }, 200, FLAVOR)
      })
      addValues(app)
      app.notFound((c) => c.text('Not Found', 404, FLAVOR))
    },
  }
}

/** The same for `format=full`, because Cloud Run has no machine to describe. */
function claimsFor(asked: string, nowMs: number, { audience = asked, ...options }: MetadataServerOptions) {
  const { subject, issuer, idTokenLifetimeSeconds: lifetimeSeconds } = options
  return idTokenClaims({ audience, nowMs, issuer, subject, email: GOOGLE.serviceAccountEmail, lifetimeSeconds })
}

const VALUES: Readonly<Record<string, string>> = {
  '': 'instance/\nproject/\nuniverse/\n',
  instance: 'id\nregion\nservice-accounts/\nzone\n',
  'instance/id': GOOGLE.instanceId,
  'instance/region': `projects/${GOOGLE.projectNumber}/regions/${GOOGLE.region}`,
  'instance/zone': `projects/${GOOGLE.projectNumber}/zones/${GOOGLE.region}-1`,
  'instance/service-accounts': `default/\n${GOOGLE.serviceAccountEmail}/\n`,
  'instance/service-accounts/default': 'email\nidentity\ntoken\n',
  'instance/service-accounts/default/email': GOOGLE.serviceAccountEmail,
  project: 'numeric-project-id\nproject-id\n',
  'project/project-id': GOOGLE.projectId,
  'project/numeric-project-id': GOOGLE.projectNumber,
  'universe/universe-domain': 'googleapis.com',
}

function addValues(app: Hono<StandInEnv>): void {
  const answer = (value: string) => (c: Context<StandInEnv>) => c.text(value, 200, FLAVOR)
  for (const [path, value] of Object.entries(VALUES)) {
    const full = path === '' ? ROOT : `${ROOT}/${path}`
    app.get(full, answer(value))
    // The real server redirects the name of a folder without its slash to the name with it.
    app.get(`${full}/`, answer(value))
  }
}
