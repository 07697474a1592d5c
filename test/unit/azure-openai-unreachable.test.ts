import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createAzureOpenAI } from '../../shared/azure-openai/azure-openai.ts'

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  return address.port
}

async function failureAt(endpoint: string) {
  const deployment = { model: 'm', endpoint, deployment: 'd', priority: 1 }
  const job = { url: '/v1/chat/completions', body: { messages: [] } } as const
  const request = { job, deployment, token: 't', clientRequestId: 'c' }
  const reply = await createAzureOpenAI(undefined, Date.now).ask(request, new AbortController().signal)
  return reply.ok ? undefined : [reply.failure.kind, reply.failure.code]
}

/** Listens, and does this with the first bytes of every connection. */
async function answering(t: TestContext, answer: (bytes: Buffer) => 'reset'): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => answer(bytes) === 'reset' && socket.resetAndDestroy())
  })
  t.after(() => server.close())
  return portOf(server)
}

test('a refused connection sent nothing', async () => {
  const server = createServer()
  const port = await portOf(server)
  server.close()
  await once(server, 'close')
  assert.deepEqual(await failureAt(`http://127.0.0.1:${port}`), ['unreachable', 'ECONNREFUSED'])
})

test('a name that nobody knows sent nothing', async () => {
  const [kind, code] = (await failureAt('https://no-such-host.invalid')) ?? []
  assert.equal(kind, 'unreachable')
  assert.match(code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/)
})

test('a connection that is reset by whom it reached may have been sent over', async (t) => {
  const port = await answering(t, () => 'reset')
  assert.equal((await failureAt(`http://127.0.0.1:${port}`))?.[0], 'ambiguous')
})

test('a TLS fault that is not about the certificate may have come at any time', async (t) => {
  const port = await answering(t, () => 'reset')
  assert.equal((await failureAt(`https://127.0.0.1:${port}`))?.[0], 'ambiguous')
})
