import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Config } from '../shared/config/config.ts'
import type { Worker } from './compose.ts'
import { MAX_ATTRIBUTES, MAX_NAME_BYTES, MAX_VALUE_BYTES } from './dead-letters/attributes.ts'

/** Longer than Cloud Run and load balancers keep an idle connection, so that none is closed under a push. */
const KEEP_ALIVE_MS = 620_000

export interface ReadLimits {
  /** How long a request may take to arrive whole; its answer may take longer. */
  readonly readWithinMs: number
  /** How long its headers may take. */
  readonly headersWithinMs: number
  /** How often that is looked at. */
  readonly lookEveryMs: number
}

/** A push that stalls holds room that others wait for. The largest has time enough at half a megabyte a second. */
const READ_LIMITS: ReadLimits = { readWithinMs: 30_000, headersWithinMs: 10_000, lookEveryMs: 5_000 }

/** For probes, sweeps, dead letters, and pushes that are refused because an instance is full. */
const SPARE_CONNECTIONS = 100

/** What stands around a name and its value: a colon, a blank, and the end of the line. */
const HEADER_FRAME_BYTES = 4
/** As much as node allows for all headers: the token, the message's metadata, and what proxies add. */
const ORDINARY_HEADER_BYTES = 16 * 1_024
/**
 * An unwrapped push brings each attribute as a header. One that has more than this is answered with 431 by node itself,
 * again and again, and its dead letter likewise. (Node reads 2,000 headers.)
 */
const MAX_HEADER_BYTES =
  MAX_ATTRIBUTES * (MAX_NAME_BYTES + MAX_VALUE_BYTES + HEADER_FRAME_BYTES) + ORDINARY_HEADER_BYTES

/** Serves a worker over HTTP. Rejects with node's own error: EADDRINUSE for a taken port. */
export async function listen(
  { fetch }: Pick<Worker, 'fetch'>,
  { host, port, maxInFlight }: Pick<Config, 'host' | 'port' | 'maxInFlight'>,
  { readWithinMs, headersWithinMs, lookEveryMs }: ReadLimits = READ_LIMITS,
): Promise<Server> {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false })
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: headersWithinMs,
    requestTimeout: readWithinMs,
    connectionsCheckingInterval: lookEveryMs,
  }
  const server = createServer(limits, listener)
  // Each may hold so many bytes of headers before its caller is known.
  server.maxConnections = 2 * maxInFlight + SPARE_CONNECTIONS
  // One too many is dropped, and makes room for the next: connections that only wait for a request are closed.
  server.on('drop', () => server.closeIdleConnections())
  server.listen({ host, port })
  await once(server, 'listening')
  return server
}
