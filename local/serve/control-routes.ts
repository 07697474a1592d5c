import { Hono } from 'hono'
import { z } from 'zod'
import type { CallLog } from '../call-log.ts'
import { faultSchema } from '../faults.ts'
import type { FaultBook } from './fault-book.ts'
import type { ServiceDescription } from './service-description.ts'

const querySchema = z.strictObject({
  since: z.coerce.number().nonnegative().optional(),
  after: z.coerce.number().int().nonnegative().optional(),
})

/**
 * `POST /__faults` places a fault, and `DELETE /__faults` clears all. `GET /__calls?since=MS&after=ID` returns the calls of this
 * service, oldest first, at most 10,000. Invalid requests get 400 with the reason.
 */
export function controlRoutes(description: ServiceDescription, faults: FaultBook, log: CallLog): Hono {
  const app = new Hono()
  app.post('/__faults', async (c) => {
    const body: unknown = await c.req.json().catch(() => undefined)
    const parsed = faultSchema.safeParse(body)
    if (!parsed.success) return c.json({ error: z.prettifyError(parsed.error) }, 400)
    const fault = parsed.data
    if (fault.kind === 'status' && fault.error !== undefined && !Object.hasOwn(description.errors, fault.error)) {
      const known = Object.keys(description.errors).join(', ')
      return c.json({ error: `no error fixture "${fault.error}"; there are: ${known}` }, 400)
    }
    faults.place(fault)
    return c.json(fault, 201)
  })
  app.delete('/__faults', (c) => {
    faults.clear()
    return c.body(null, 204)
  })
  app.get('/__calls', async (c) => {
    const query = querySchema.safeParse(c.req.query())
    if (!query.success) return c.json({ error: z.prettifyError(query.error) }, 400)
    return c.json(await log.read({ ...query.data, service: description.service }))
  })
  return app
}
