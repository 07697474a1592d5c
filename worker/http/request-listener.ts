import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import type { Drain } from '../delivery/drain.ts'
import { headersOf } from './push-request.ts'
import type { PushAnswer, PushRoute } from './push-routes.ts'

/** How long a caller may go on sending the rest of a push that was refused. */
const DISCARD_MS = 500

/**
 * Serves pushes directly on Node's requests, and all other routes with Hono. Web requests and streams cost a push more
 * processor time than its routes.
 */
export function createRequestListener(
  app: Pick<Hono, 'fetch'>,
  pushRoutes: ReadonlyMap<string | undefined, PushRoute>,
  drain: Pick<Drain, 'begun'>,
): RequestListener {
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  return async (request, response) => {
    const route = request.method === 'POST' ? pushRoutes.get(pathOf(request)) : undefined
    if (route === undefined) return listener(request, response)
    const answer = await route({ headers: headersOf(request), body: request })
    // A keep-alive connection would keep the process from ending until it is killed.
    if (drain.begun.aborted) response.setHeader('connection', 'close')
    write(response, answer)
    discardRest(request)
  }
}

function pathOf({ url }: IncomingMessage): string | undefined {
  const query = url?.indexOf('?') ?? -1
  return query === -1 ? url : url?.slice(0, query)
}

function write(response: ServerResponse, { status, json }: PushAnswer): void {
  // The caller may have disconnected.
  if (response.destroyed) return
  if (json === undefined) {
    response.writeHead(status).end()
    return
  }
  const text = JSON.stringify(json)
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

/** Reads the rest of a push and keeps nothing of it: a connection that is closed at once would lose the answer. */
function discardRest(request: IncomingMessage): void {
  if (request.readableEnded || request.destroyed) return
  const timer = setTimeout(() => request.destroy(), DISCARD_MS)
  request.once('close', () => clearTimeout(timer))
  request.resume()
}
