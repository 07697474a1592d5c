import type { Hono } from 'hono'
import { realDependencies } from './dependencies.ts'
import { googleError } from './serve/google-error.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'
import { type StandIn, type StandInOptions, serveStandIn } from './stand-in.ts'

export interface CloudStorageOptions extends StandInOptions {
  /** The content of each object, by bucket and name: `bucket/folder/name.txt`. */
  readonly objects: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>
  /** How many objects a page of a list has. */
  readonly pageSize?: number
  /** The only access token that may read. Any caller may, when absent. */
  readonly token?: string
}

/** The JSON API of Cloud Storage: lists of objects, and their content. */
export async function startCloudStorage(options: CloudStorageOptions): Promise<StandIn> {
  const dependencies = { ...realDependencies, ...options.dependencies }
  return serveStandIn(describe(options), dependencies, options)
}

function describe(options: CloudStorageOptions): ServiceDescription {
  return {
    service: 'storage',
    operationOf: (path) => (path.endsWith('/o') ? 'list' : 'get'),
    errors: {
      forbidden: () => googleError(403, 'PERMISSION_DENIED', 'The caller does not have storage.objects.list access.'),
      unavailable: () => googleError(503, 'UNAVAILABLE', 'The service is currently unavailable.'),
    },
    route: (app) => addRoutes(app, options),
  }
}

const GENERATION = '1732790000000001'

function addRoutes(app: Hono<StandInEnv>, { objects, pageSize = 1_000, token }: CloudStorageOptions): void {
  app.use('/storage/*', async (c, next) => {
    const isAllowed = token === undefined || c.req.header('authorization') === `Bearer ${token}`
    return isAllowed ? next() : googleError(401, 'UNAUTHENTICATED', 'Invalid Credentials')
  })
  app.get('/storage/v1/b/:bucket/o', (c) => {
    const { prefix = '', pageToken = '' } = c.req.query()
    const bucket = `${c.req.param('bucket')}/`
    const all = Object.keys(objects).filter((name) => name.startsWith(bucket))
    if (all.length === 0) return googleError(404, 'NOT_FOUND', 'The specified bucket does not exist.')
    const names = all
      .map((name) => name.slice(bucket.length))
      .filter((name) => name.startsWith(prefix) && name > pageToken)
    const page = names.sort().slice(0, pageSize)
    return c.json({
      ...(page.length > 0 && { items: page.map((name) => ({ name, generation: GENERATION })) }),
      ...(page.length < names.length && { nextPageToken: page.at(-1) }),
    })
  })
  app.get('/storage/v1/b/:bucket/o/:name', (c) => {
    const content = objects[`${c.req.param('bucket')}/${c.req.param('name')}`]
    const isThere = content !== undefined && c.req.query('generation') === GENERATION && c.req.query('alt') === 'media'
    return isThere ? c.body(content) : googleError(404, 'NOT_FOUND', 'No such object')
  })
}
