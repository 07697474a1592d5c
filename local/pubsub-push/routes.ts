import { Hono } from 'hono'
import type { JSONWebKeySet } from 'jose'
import { z } from 'zod'
import type { CallLog } from '../call-log.ts'
import type { Traffic } from './carry.ts'
import { type PushFaultBook, pushFaultSchema } from './push-faults.ts'
import { SERVICE } from './settings.ts'

export const CERTS_PATH = '/oauth2/v3/certs'

/** The progress of one subscription. It has finished when `waiting` and `outstanding` are both 0. */
export interface SubscriptionStatus extends Traffic {
  readonly subscription: string
  readonly topic: string
  /** To be delivered, now or after their backoff. */
  readonly waiting: number
  /** Being delivered. */
  readonly outstanding: number
  /** The last failure of the queue's file. */
  readonly problem: string | null
}

export interface RouteParts {
  readonly jwks: JSONWebKeySet
  readonly faults: PushFaultBook
  readonly log: CallLog
  status(): Promise<readonly SubscriptionStatus[]>
}

const querySchema = z.strictObject({
  since: z.coerce.number().nonnegative().optional(),
  after: z.coerce.number().int().nonnegative().optional(),
})

/**
 * Google's certificates, and the routes that control the stand-in.
 *
 * `POST /__faults` places a fault, and `DELETE /__faults` clears all. `GET /__calls?since=MS&after=ID` returns the deliveries,
 * oldest first, at most 10,000. `GET /__subscriptions` returns the progress. Invalid requests get 400 with the reason.
 */
export function routes({ jwks, faults, log, status }: RouteParts): Hono {
  const app = new Hono()
  // Google's keys may be cached for hours. Ours change with each start, so they may be cached only for a minute.
  app.get(CERTS_PATH, (c) => c.json(jwks, 200, { 'cache-control': 'public, max-age=60' }))
  app.get('/__subscriptions', async (c) => c.json(await status()))
  app.get('/__calls', async (c) => {
    const query = querySchema.safeParse(c.req.query())
    if (!query.success) return c.json({ error: z.prettifyError(query.error) }, 400)
    return c.json(await log.read({ ...query.data, service: SERVICE }))
  })
  app.post('/__faults', async (c) => {
    const body: unknown = await c.req.json().catch(() => undefined)
    const fault = pushFaultSchema.safeParse(body)
    if (!fault.success) return c.json({ error: z.prettifyError(fault.error) }, 400)
    faults.place(fault.data)
    return c.json(fault.data, 201)
  })
  app.delete('/__faults', (c) => {
    faults.clear()
    return c.body(null, 204)
  })
  return app
}
