import { realDependencies } from './dependencies.ts'
import { ACCESS_TOKEN_PREFIX } from './google-tokens.ts'
import { googleError } from './serve/google-error.ts'
import type { ServiceDescription } from './serve/service-description.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface GooglePoliciesOptions extends StandInOptions {
  /** Role → members, by the resource's name (`projects/p/topics/t`); a resource that is not named is not readable. */
  readonly policies: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

/** The `getIamPolicy` of Google's APIs: of Pub/Sub, Cloud Run and Resource Manager. */
export async function startGooglePolicies(options: GooglePoliciesOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  const description: ServiceDescription = {
    service: 'google_policies',
    operationOf: () => 'getIamPolicy',
    errors: { unavailable: () => googleError(503, 'UNAVAILABLE', 'The service is currently unavailable.') },
    route: (app) => {
      // Only Resource Manager needs a POST.
      app.on(['GET', 'POST'], '/:version/*', (c) => {
        const [, version, name = ''] = /^\/(v\d)\/(.+):getIamPolicy$/.exec(decodeURIComponent(c.req.path)) ?? []
        const isKnown = c.req.header('authorization')?.startsWith(`Bearer ${ACCESS_TOKEN_PREFIX}`) === true
        if (!isKnown) return googleError(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.')
        c.set('detail', { name })
        if (c.req.method !== (version === 'v3' ? 'POST' : 'GET')) return googleError(404, 'NOT_FOUND', 'Not found.')
        const policy = options.policies[name]
        if (policy === undefined) return googleError(403, 'PERMISSION_DENIED', 'The caller does not have permission')
        const bindings = Object.entries(policy).map(([role, members]) => ({ role, members }))
        // A policy without grants has no list.
        return c.json({ version: 1, etag: 'BwYQ0Vp8yXk=', ...(bindings.length > 0 && { bindings }) })
      })
    },
  }
  return serveStandIn(description, dependencies, options)
}
