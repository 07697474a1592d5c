import type { Context, Hono } from 'hono'
import { createLocalJWKSet, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { z } from 'zod'
import { type Dependencies, realDependencies } from './dependencies.ts'
import { ACCESS_TOKEN_PREFIX, idTokenClaims } from './google-tokens.ts'
import { GOOGLE } from './identities.ts'
import { googleError } from './serve/google-error.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'
import type { SigningKey } from './signing-key.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface IamCredentialsOptions extends StandInOptions {
  /** Google's key, which checks access tokens and signs ID tokens. */
  readonly key: SigningKey
  /** E-mails of the accounts that may impersonate the service account. */
  readonly tokenCreators?: readonly string[]
}

/** Google's IAM Credentials API: only ID tokens of one service account. */
export async function startIamCredentials(options: IamCredentialsOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  return serveStandIn(describe(dependencies, options), dependencies, options)
}

const ERRORS = {
  unauthenticated: [401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.'],
  permission_denied: [
    403,
    'PERMISSION_DENIED',
    "Permission 'iam.serviceAccounts.getOpenIdToken' denied on resource (or it may not exist).",
  ],
  unknown_account: [404, 'NOT_FOUND', 'Not found; Gaia id not found for the e-mail.'],
  invalid_request: [400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.'],
  unavailable: [503, 'UNAVAILABLE', 'The service is currently unavailable.'],
} as const satisfies Readonly<Record<string, readonly [number, string, string]>>

function refuse(name: keyof typeof ERRORS): Response {
  const [code, status, message] = ERRORS[name]
  return googleError(code, status, message)
}

function describe(dependencies: Dependencies, options: IamCredentialsOptions): ServiceDescription {
  return {
    service: 'iam',
    operationOf: (path) => (path.endsWith(':generateIdToken') ? 'generateIdToken' : 'unknown'),
    errors: {
      unauthenticated: () => refuse('unauthenticated'),
      permission_denied: () => refuse('permission_denied'),
      unknown_account: () => refuse('unknown_account'),
      unavailable: () => refuse('unavailable'),
    },
    route: (app) => addRoute(app, dependencies, options),
  }
}

const requestSchema = z.object({ audience: z.string().min(1), includeEmail: z.boolean().default(false) })

function addRoute(app: Hono<StandInEnv>, { now }: Dependencies, options: IamCredentialsOptions): void {
  const keys = createLocalJWKSet(options.key.jwks)
  const creators = options.tokenCreators ?? [GOOGLE.serviceAccountEmail]
  app.post('/v1/projects/-/serviceAccounts/:method', async (c) => {
    const [email, verb] = c.req.param('method').split(':')
    const caller = await callerOf(c, keys, now())
    c.set('detail', { caller: caller ?? null })
    if (caller === undefined) return refuse('unauthenticated')
    if (email !== GOOGLE.serviceAccountEmail || verb !== 'generateIdToken') return refuse('unknown_account')
    if (!creators.includes(caller)) return refuse('permission_denied')
    const request = requestSchema.safeParse(await c.req.json().catch(() => undefined))
    if (!request.success) return refuse('invalid_request')
    const { audience, includeEmail } = request.data
    c.set('detail', { caller, audience })
    const claims = idTokenClaims({ audience, nowMs: now(), ...(includeEmail ? { email } : {}) })
    return c.json({ token: await options.key.sign(claims) })
  })
}

const callerClaims = z.object({ email: z.string() })

async function callerOf(c: Context<StandInEnv>, keys: JWTVerifyGetKey, nowMs: number): Promise<string | undefined> {
  const [, token = ''] = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '') ?? []
  if (!token.startsWith(ACCESS_TOKEN_PREFIX)) return undefined
  const verified = jwtVerify(token.slice(ACCESS_TOKEN_PREFIX.length), keys, { currentDate: new Date(nowMs) })
  const claims = await verified.catch(() => undefined)
  return callerClaims.safeParse(claims?.payload).data?.email
}
