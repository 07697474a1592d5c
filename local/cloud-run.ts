import type { Hono } from 'hono'
import { realDependencies } from './dependencies.ts'
import { ACCESS_TOKEN_PREFIX } from './google-tokens.ts'
import { GOOGLE } from './identities.ts'
import { googleError } from './serve/google-error.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

/** A variable of a service's container: a plain value, or the name of a secret that holds it. */
export type Variable =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly secret: string }

export interface CloudRunOptions extends StandInOptions {
  /** The one service's name. */
  readonly service: string
  readonly variables: readonly Variable[]
  /** The account that it runs as; the worker's account when absent. */
  readonly serviceAccount?: string
  /** Whether the Invoker IAM check is switched off; false when absent. */
  readonly invokerIamDisabled?: boolean
  /** Whether callers may read services; true when absent. */
  readonly isOpen?: boolean
}

/** Cloud Run's Admin API, version 2: only the description of one service. */
export async function startCloudRun(options: CloudRunOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  return serveStandIn(describe(options), dependencies, options)
}

function describe(options: CloudRunOptions): ServiceDescription {
  return {
    service: 'cloud_run',
    operationOf: () => 'getService',
    errors: { unavailable: () => googleError(503, 'UNAVAILABLE', 'The service is currently unavailable.') },
    route: (app) => addRoute(app, options),
  }
}

function addRoute(app: Hono<StandInEnv>, options: CloudRunOptions): void {
  const { service, variables, serviceAccount, invokerIamDisabled, isOpen } = options
  const name = `projects/${GOOGLE.projectId}/locations/${GOOGLE.region}/services/${service}`
  app.get('/v2/*', (c) => {
    const isKnown = c.req.header('authorization')?.startsWith(`Bearer ${ACCESS_TOKEN_PREFIX}`) === true
    if (!isKnown) return googleError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.')
    if (isOpen === false)
      return googleError(403, 'PERMISSION_DENIED', "Permission 'run.services.get' denied on resource.")
    if (c.req.path !== `/v2/${name}`) return googleError(404, 'NOT_FOUND', 'Resource not found.')
    const template = {
      serviceAccount: serviceAccount ?? GOOGLE.serviceAccountEmail,
      containers: [{ image: 'worker', env: variables.map(asEnv) }],
    }
    const revision = `${name}/revisions/${service}-00007-abc`
    // False values are left out.
    return c.json({ name, ...(invokerIamDisabled && { invokerIamDisabled }), template, latestReadyRevision: revision })
  })
}

function asEnv(variable: Variable) {
  const { name } = variable
  if ('value' in variable) return { name, value: variable.value }
  return { name, valueSource: { secretKeyRef: { secret: variable.secret, version: 'latest' } } }
}
