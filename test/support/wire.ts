import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { z } from 'zod'
import { ended } from './sockets.ts'

/** A stretch of wire before a server: the connections that callers make can be watched from here. */
export interface Wire extends AsyncDisposable {
  /** The server's own, but for the port. */
  readonly url: string
  /** How many connections have been made. */
  connections(): number
  /** Resolves when the last connection that was made is closed by its caller. */
  lastClosed(): Promise<void>
}

export async function openWire(to: string): Promise<Wire> {
  const target = new URL(to)
  const closed: Promise<unknown>[] = []
  const sockets: Socket[] = []
  const server = createServer((caller) => {
    const behind = connect(Number(target.port), target.hostname)
    sockets.push(caller, behind)
    closed.push(ended(caller))
    for (const [one, other] of [
      [caller, behind],
      [behind, caller],
    ] as const) {
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `${target.protocol}//127.0.0.1:${port}`,
    connections: () => closed.length,
    async lastClosed() {
      await closed.at(-1)
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
