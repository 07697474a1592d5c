import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { z } from 'zod'

/** A stretch of network before a TCP server, which breaks on request. */
export interface FaultProxy extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  /** Resets the open connections, and each new one as it comes. It keeps the port, so that no other process can use it. */
  cut(): void
  /** Resolves when the next new connection has been reset. */
  turnedAway(): Promise<void>
  /** Keeps and takes connections, and passes nothing on. */
  stall(): void
  /** Passes on what callers send, and nothing of what they are answered. */
  loseReplies(): void
  /** The open connections are lost, and neither end is notified. New ones work. */
  strand(): void
  /** Passes everything on, and what a stall held back first. */
  restore(): void
}

type Flow = 'whole' | 'cut' | 'stalled' | 'without replies'

interface Pair {
  readonly caller: Socket
  readonly server: Socket
}

/** Opens one before a server at HOST:PORT. */
export async function openFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port: targetPort } = new URL(`tcp://${target}`)
  const pairs = new Set<Pair>()
  const stranded: Pair[] = []
  let flow: Flow = 'whole'
  let away = Promise.withResolvers<void>()

  const listener = createServer((caller) => {
    if (flow === 'cut') {
      caller.resetAndDestroy()
      away.resolve()
      away = Promise.withResolvers()
      return
    }
    const pair = { caller, server: connect(Number(targetPort), hostname) }
    pairs.add(pair)
    join(pair, () => pairs.delete(pair))
    direct(pair, flow)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = z.object({ port: z.number() }).parse(listener.address())

  const become = (next: Flow) => () => {
    flow = next
    for (const pair of pairs) direct(pair, next)
  }
  return {
    address: `127.0.0.1:${port}`,
    cut: become('cut'),
    turnedAway: () => away.promise,
    stall: become('stalled'),
    loseReplies: become('without replies'),
    restore: become('whole'),
    strand() {
      for (const pair of pairs) direct(pair, 'stalled')
      stranded.push(...pairs)
      pairs.clear()
    },
    async [Symbol.asyncDispose]() {
      for (const pair of [...pairs, ...stranded]) direct(pair, 'cut')
      listener.close()
      await once(listener, 'close')
    },
  }
}

function join({ caller, server }: Pair, onEnd: () => void): void {
  for (const [from, to] of [
    [caller, server],
    [server, caller],
  ] as const) {
    from.setNoDelay(true)
    from.on('data', (bytes) => to.write(bytes))
    from.on('error', () => to.destroy())
    from.on('close', () => {
      to.destroy()
      onEnd()
    })
  }
}

/** What is not read waits in the socket, as in a network that has stopped. */
function direct({ caller, server }: Pair, flow: Flow): void {
  if (flow === 'cut') {
    server.destroy()
    caller.resetAndDestroy()
    return
  }
  caller[flow === 'stalled' ? 'pause' : 'resume']()
  server[flow === 'whole' ? 'resume' : 'pause']()
}
