import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Listens on a free port of 127.0.0.1 until the test ends; resolves with the port. */
export async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  return address.port
}

/** Does this with each connection. */
export function onConnection(t: TestContext, act: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    act(socket)
  })
  return listen(t, server)
}

/** Resolves when the connection has ended, in whichever way: `once` would reject where it was reset. */
export function ended(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('error', () => undefined)
  socket.on('close', () => resolve())
  return promise
}

export async function unusedPort(t: TestContext): Promise<number> {
  const server = createServer()
  const port = await listen(t, server)
  server.close()
  await once(server, 'close')
  return port
}
