import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Worker } from './compose.ts'

/** Longer than Cloud Run and load balancers keep an idle connection, so that none is closed under a push. */
const KEEP_ALIVE_MS = 620_000

/** Serves a worker over HTTP. Rejects with node's own error: EADDRINUSE for a taken port. */
export async function listen({ fetch }: Worker, address: { host: string; port: number }): Promise<Server> {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false })
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener)
  server.listen(address)
  await once(server, 'listening')
  return server
}
