import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, describe, test } from 'node:test'
import { startCloud } from '../stand-ins.ts'
import { startWorker, type TestWorker } from '../worker.ts'

const cloud = await startCloud()
after(() => cloud.close())

async function open({ url }: TestWorker): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

/** Asks whether the worker lives. Resolves with what it answers; with nothing where it closes the connection. */
async function ask(socket: Socket): Promise<string> {
  socket.on('error', () => undefined)
  const answer = Promise.race([once(socket, 'data').then(String), once(socket, 'close').then(() => '')])
  socket.write('GET /healthz HTTP/1.1\r\nhost: worker\r\n\r\n')
  return await answer
}

const OK = /^HTTP\/1\.1 200 /

describe('connections', () => {
  test('that wait for a request make room for others when there are too many', async () => {
    const readLimits = { readWithinMs: 30_000, lookEveryMs: 5_000, maxConnections: 3 }
    await using worker = await startWorker(cloud, { readLimits })
    const idle = await Promise.all([open(worker), open(worker), open(worker)])
    for (const socket of idle) assert.match(await ask(socket), OK)
    const closed = idle.map((socket) => once(socket, 'close'))
    assert.equal(await ask(await open(worker)), '')
    await Promise.all(closed)
    const next = await open(worker)
    assert.match(await ask(next), OK)
    next.destroy()
  })

  test('on which nothing is ever sent are closed', async () => {
    const readLimits = { readWithinMs: 50, lookEveryMs: 10, maxConnections: 100 }
    await using worker = await startWorker(cloud, { readLimits })
    const silent = await open(worker)
    silent.resume()
    await once(silent, 'close')
    const next = await open(worker)
    assert.match(await ask(next), OK)
    next.destroy()
  })
})
