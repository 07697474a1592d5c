import { once, setMaxListeners } from 'node:events'
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { type CallLog, openCallLog } from './call-log.ts'
import type { Certificate } from './certificate.ts'
import type { Dependencies } from './dependencies.ts'
import { controlRoutes } from './serve/control-routes.ts'
import { createFaultBook } from './serve/fault-book.ts'
import { observeCalls } from './serve/observe-calls.ts'
import type { ServiceDescription, StandInEnv } from './serve/service-description.ts'

/** A service on this machine that answers as the real one does. */
export interface StandIn {
  /** Scheme, host and port, without a slash at the end. */
  readonly url: string
  /** Stops listening and destroys every open socket, also of hanging calls. A second call waits for the first. */
  close(): Promise<void>
}

/** The options of every start function. */
export interface StandInOptions {
  /** A free port when absent. */
  readonly port?: number
  /** Shared with other stand-ins; a log of its own in memory when absent. */
  readonly log?: CallLog
  readonly dependencies?: Partial<Dependencies>
}

/** Simultaneous connects beyond the backlog are answered only after the kernel's retry, a second later. */
const BACKLOG = 4_096
/** Longer than any client keeps an idle connection, so that no connection is closed during a request. */
const KEEP_ALIVE_MS = 120_000

/**
 * Serves a service on 127.0.0.1 with its call log, its faults and the routes that control them.
 *
 * Rejects with EADDRINUSE when the port is taken.
 */
export async function serveStandIn(
  description: ServiceDescription,
  dependencies: Dependencies,
  options: StandInOptions,
): Promise<StandIn> {
  using opened = new DisposableStack()
  const log = options.log ?? opened.adopt(await openCallLog(), (own) => own.close())
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)
  const faults = createFaultBook()
  const app = new Hono<StandInEnv>()
  app.route('/', controlRoutes(description, faults, log))
  app.use(observeCalls({ description, faults, log, dependencies, closing: closing.signal }))
  description.route(app, closing.signal)
  app.onError((error, c) => c.json({ error: { message: `stand-in failed: ${error.message}` } }, 500))

  const server = createServer(getRequestListener(app.fetch, { overrideGlobalObjects: false }), description.certificate)
  const sockets = trackSockets(server)
  const port = await listen(server, options.port ?? 0)
  const cleanups = opened.move()
  const shut = async () => {
    closing.abort()
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
    cleanups.dispose()
  }
  let ended: Promise<void> | undefined
  return {
    url: `${description.certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close() {
      ended ??= shut()
      return ended
    },
  }
}

function createServer(listener: RequestListener, certificate: Certificate | undefined): Server {
  const settings = { keepAliveTimeout: KEEP_ALIVE_MS }
  if (certificate === undefined) return createHttpServer(settings, listener)
  return createHttpsServer({ ...settings, key: certificate.keyPem, cert: certificate.certPem }, listener)
}

/** With TLS these are the raw sockets, because closeAllConnections() does not include connections during their handshake. */
function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen({ host: '127.0.0.1', port, backlog: BACKLOG })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a TCP address')
  return address.port
}
