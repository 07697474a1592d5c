import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Hono } from 'hono'
import { createDrain } from '../../worker/delivery/drain.ts'
import type { PushRoute } from '../../worker/http/push-routes.ts'
import { createRequestListener } from '../../worker/http/request-listener.ts'
import { listen } from '../support/sockets.ts'

const ACCEPT: PushRoute = async () => ({ status: 204 })
const REFUSE: PushRoute = async () => ({ status: 401, json: { error: 'no' } })

async function serve(t: TestContext, route: PushRoute): Promise<number> {
  const app = new Hono().get('/healthz', (context) => context.text('ok'))
  return listen(t, createServer(createRequestListener(app, new Map([['/push', route]]), createDrain())))
}

async function statusOf(port: number, path: string, method = 'POST'): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}${path}`, { method })).status
}

test('a push is a POST to its very path, with any query; every other request is left to the other routes', async (t) => {
  const port = await serve(t, ACCEPT)
  assert.equal(await statusOf(port, '/push'), 204)
  assert.equal(await statusOf(port, '/push?a=/b'), 204)
  for (const path of ['/push/', '/pushes', '/', '/healthz']) assert.equal(await statusOf(port, path), 404, path)
  for (const method of ['GET', 'PUT']) assert.equal(await statusOf(port, '/push', method), 404, method)
  assert.equal(await statusOf(port, '/healthz', 'GET'), 200)
})

test('a header that is repeated reaches the route joined, whatever its name', async (t) => {
  const seen: (string | null)[] = []
  const port = await serve(t, async ({ headers }) => {
    for (const name of ['authorization', 'Constructor', '__proto__', 'x-none']) seen.push(headers.get(name))
    return { status: 204 }
  })
  const socket = connect(port, '127.0.0.1')
  const lines = ['Authorization: a', 'authorization: b', 'constructor: c', '__proto__: d', '__proto__: e']
  socket.end(['POST /push HTTP/1.1', 'host: worker', 'connection: close', ...lines, '', ''].join('\r\n'))
  assert.match(await text(socket), /^HTTP\/1\.1 204 /)
  assert.deepEqual(seen, ['a, b', 'c', 'd, e', null])
})

test('a refused push of 20 MB gets its answer, and its connection serves the next one', async (t) => {
  const port = await serve(t, REFUSE)
  const socket = connect(port, '127.0.0.1')
  const head = `POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 20000000\r\n\r\n`
  socket.write(head)
  socket.write(Buffer.alloc(20_000_000, 'x'))
  socket.end('POST /push HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n')
  const answers = await text(socket)
  assert.equal(answers.split('HTTP/1.1 401 ').length, 3)
})

test('a caller that goes on sending a refused push without an end is cut off', async (t) => {
  const port = await serve(t, REFUSE)
  const sending = request({ port, host: '127.0.0.1', path: '/push', method: 'POST' })
  sending.on('error', () => undefined)
  sending.write('x')
  const [response] = await once(sending, 'response')
  assert.equal(response.statusCode, 401)
  await once(sending, 'close')
})

test('a caller that is gone before its answer harms nothing', async (t) => {
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const port = await serve(t, async ({ body }) => {
    body.once('close', goOn.resolve)
    begun.resolve()
    await goOn.promise
    return { status: 503, json: { reason: 'busy' } }
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /push HTTP/1.1\r\nhost: worker\r\ncontent-length: 5\r\n\r\n')
  await begun.promise
  socket.destroy()
  await goOn.promise
  assert.equal(await statusOf(port, '/healthz', 'GET'), 200)
})
