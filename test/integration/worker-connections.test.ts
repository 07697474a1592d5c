import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { onWorker } from '../support/on-worker.ts'
import { ended } from '../support/sockets.ts'
import type { TestWorker } from '../support/worker.ts'

async function open({ url }: TestWorker): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

/** Asks whether the worker lives. Resolves with what it answers; with nothing where it closes the connection. */
async function ask(socket: Socket): Promise<string> {
  const { promise: answer, resolve } = Promise.withResolvers<string>()
  socket.once('data', (chunk) => resolve(chunk.toString()))
  void ended(socket).then(() => resolve(''))
  socket.write('GET /healthz HTTP/1.1\r\nhost: worker\r\n\r\n')
  return await answer
}

const OK = /^HTTP\/1\.1 200 /

describe('connections', () => {
  test('that wait for a request make room for others when there are too many', () =>
    onWorker({ MAX_IN_FLIGHT: '1' }, async (worker) => {
      // Two for the one job, and a hundred to spare.
      const idle = await Promise.all(Array.from({ length: 102 }, () => open(worker)))
      for (const socket of idle) assert.match(await ask(socket), OK)
      const closed = idle.map(ended)
      assert.equal(await ask(await open(worker)), '')
      await Promise.all(closed)
      const next = await open(worker)
      assert.match(await ask(next), OK)
      next.destroy()
    }))

  test('on which headers begin and never end, or nothing is ever sent, are closed', () =>
    onWorker({ readLimits: { readWithinMs: 60_000, headersWithinMs: 500, lookEveryMs: 10 } }, async (worker) => {
      const [silent, begun] = [await open(worker), await open(worker)]
      begun.write('POST /push HTTP/1.1\r\nhost: worker\r\nx-never: ends')
      for (const socket of [silent, begun]) socket.resume()
      await Promise.all([silent, begun].map(ended))
      // A busy machine may take longer for the headers of this one, too.
      for (let answer = ''; !OK.test(answer); ) {
        const next = await open(worker)
        answer = await ask(next)
        next.destroy()
      }
    }))
})
