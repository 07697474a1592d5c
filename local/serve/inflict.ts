import { TLSSocket } from 'node:tls'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Fault } from '../faults.ts'

/** Does to the connection what the fault says, and returns what is still to be sent. */
export async function inflict(fault: Fault, answer: Response | undefined, wire: HttpBindings): Promise<Response> {
  if (fault.kind === 'reset') {
    await cut(fault.after, answer, wire)
    return RESPONSE_ALREADY_SENT
  }
  // A hanging call needs no keeper: its socket stays open until the caller or close() ends it.
  return answer ?? RESPONSE_ALREADY_SENT
}

async function cut(
  after: 'request' | 'headers' | 'half-body',
  answer: Response | undefined,
  { incoming, outgoing }: HttpBindings,
): Promise<void> {
  const { socket } = incoming
  if (after === 'request' || answer === undefined) {
    // A TLS socket has no reset of its own.
    if (socket instanceof TLSSocket) socket.destroy()
    else socket.resetAndDestroy()
    return
  }
  const body = Buffer.from(await answer.arrayBuffer())
  outgoing.writeHead(answer.status, { ...Object.fromEntries(answer.headers), 'content-length': body.length })
  if (after === 'headers') outgoing.flushHeaders()
  else outgoing.write(body.subarray(0, Math.floor(body.length / 2)))
  // Not a reset: that would throw away what has just been written.
  socket.destroySoon()
}
