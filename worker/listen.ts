import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Config } from '../shared/config/config.ts'
import { MAX_ATTRIBUTES, MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../shared/queues/message-limits.ts'
import type { Worker } from './compose.ts'

/** Longer than Cloud Run and load balancers keep an idle connection, so that none is closed under a push. */
const KEEP_ALIVE_MS = 620_000

export interface ReadLimits {
  /** How long a request may take to arrive completely. Its response may take longer. */
  readonly readWithinMs: number
  /** How long its headers may take. */
  readonly headersWithinMs: number
  /** How often these limits are checked. */
  readonly lookEveryMs: number
}

/** A stalled push holds room that others wait for. At half a megabyte per second, the largest push arrives in time. */
const READ_LIMITS: ReadLimits = { readWithinMs: 30_000, headersWithinMs: 10_000, lookEveryMs: 5_000 }

/** For probes, sweeps, dead letters, and pushes that are refused because an instance is full. */
const SPARE_CONNECTIONS = 100

/** A colon, a blank and the line end. */
const HEADER_FRAME_BYTES = 4
/** Node's default for all headers. It covers the token, the message's metadata and headers of proxies. */
const ORDINARY_HEADER_BYTES = 16 * 1_024
/**
 * An unwrapped push has each attribute as a header. Node answers a push above this limit with 431, and every redelivery and
 * the dead letter as well. (Node reads 2,000 headers.)
 */
const MAX_HEADER_BYTES = MAX_ATTRIBUTES * (MAX_KEY_BYTES + MAX_VALUE_BYTES + HEADER_FRAME_BYTES) + ORDINARY_HEADER_BYTES

/** Serves a worker over HTTP. Rejects with Node's own error, such as EADDRINUSE for a port in use. */
export async function listen(
  { listener }: Pick<Worker, 'listener'>,
  { host, port, maxInFlight }: Pick<Config, 'host' | 'port' | 'maxInFlight'>,
  { readWithinMs, headersWithinMs, lookEveryMs }: ReadLimits = READ_LIMITS,
): Promise<Server> {
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: headersWithinMs,
    requestTimeout: readWithinMs,
    connectionsCheckingInterval: lookEveryMs,
  }
  const server = createServer(limits, listener)
  // Each connection may hold MAX_HEADER_BYTES before its caller is known.
  server.maxConnections = 2 * maxInFlight + SPARE_CONNECTIONS
  // A dropped connection shows that the limit is reached: idle connections are closed to make room.
  server.on('drop', () => server.closeIdleConnections())
  server.listen({ host, port })
  await once(server, 'listening')
  return server
}
