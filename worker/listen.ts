import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Worker } from './compose.ts'

/** Longer than Cloud Run and load balancers keep an idle connection, so that none is closed under a push. */
const KEEP_ALIVE_MS = 620_000

export interface ReadLimits {
  /** How long a request may take to arrive whole; its answer may take longer. */
  readonly readWithinMs: number
  /** How often that is looked at. */
  readonly lookEveryMs: number
}

/** A push that stalls holds room that others wait for. The largest has time enough at half a megabyte a second. */
const READ_LIMITS: ReadLimits = { readWithinMs: 30_000, lookEveryMs: 5_000 }

/** Serves a worker over HTTP. Rejects with node's own error: EADDRINUSE for a taken port. */
export async function listen(
  { fetch }: Worker,
  address: { host: string; port: number },
  { readWithinMs, lookEveryMs } = READ_LIMITS,
): Promise<Server> {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false })
  const times = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: readWithinMs,
    connectionsCheckingInterval: lookEveryMs,
  }
  const server = createServer(times, listener)
  server.listen(address)
  await once(server, 'listening')
  return server
}
