import { TLSSocket } from 'node:tls'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Fault } from '../faults.ts'

/** Applies the fault to the connection, and returns the rest of the answer to send. */
export async function inflict(fault: Fault, answer: Response | undefined, wire: HttpBindings): Promise<Response> {
  if (fault.kind === 'reset') {
    await cut(fault.after, answer, wire)
    return RESPONSE_ALREADY_SENT
  }
  // Nothing to do for a hanging call: its socket stays open until the caller or close() ends it.
  return answer ?? RESPONSE_ALREADY_SENT
}

async function cut(
  after: 'request' | 'headers' | 'half-body',
  answer: Response | undefined,
  { incoming, outgoing }: HttpBindings,
): Promise<void> {
  const { socket } = incoming
  if (after === 'request' || answer === undefined) {
    // A TLS socket has no reset method.
    if (socket instanceof TLSSocket) socket.destroy()
    else socket.resetAndDestroy()
    return
  }
  const body = Buffer.from(await answer.arrayBuffer())
  outgoing.writeHead(answer.status, { ...Object.fromEntries(answer.headers), 'content-length': body.length })
  if (after === 'headers') outgoing.flushHeaders()
  else outgoing.write(body.subarray(0, Math.floor(body.length / 2)))
  // Not a reset, which would drop the data that was just written.
  socket.destroySoon()
}
