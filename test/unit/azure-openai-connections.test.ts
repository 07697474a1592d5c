import assert from 'node:assert/strict'
import dns from 'node:dns'
import { once } from 'node:events'
import { createServer as createHttp, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createHttps, globalAgent } from 'node:https'
import type { Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { rootCertificates, setDefaultCACertificates, TLSSocket } from 'node:tls'
import { makeCertificate } from '../../local/certificate.ts'
import { createAzureOpenAI } from '../../shared/models/azure-openai/azure-openai.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { listen, onConnection, unusedPort } from '../support/sockets.ts'

const ANSWER = JSON.stringify({ choices: [{ finish_reason: 'stop', message: { content: 'A bridge.' } }] })
const NEVER = new AbortController().signal

const trusted = await makeCertificate()
setDefaultCACertificates([...rootCertificates, trusted.certPem])

/** Serves over both schemes, each request when it has come as a whole. */
async function servedBoth(t: TestContext, act: (response: ServerResponse) => void): Promise<readonly string[]> {
  const listener: RequestListener = (request, response) => request.resume().once('end', () => act(response))
  const secure = { key: trusted.keyPem, cert: trusted.certPem }
  const http = `http://127.0.0.1:${await listen(t, createHttp(listener))}`
  return [http, `https://127.0.0.1:${await listen(t, createHttps(secure, listener))}`]
}

/** A TLS socket has no reset of its own. */
function reset(socket: Socket | null): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket?.resetAndDestroy()
}

/** Every name has these addresses until the test ends. */
function resolveTo(t: TestContext, ...addresses: readonly string[]): void {
  const found = addresses.map((address) => ({ address, family: 4 }))
  t.mock.method(dns, 'lookup', (...[, , done]: [string, object, (error: null, all: unknown) => void]) =>
    done(null, found),
  )
}

const federation = { tenantId: 't', clientId: 'c', authorityHost: 'https://login.test', scope: 's', audience: 'a' }
const anAdapter = (now = Date.now) => createAzureOpenAI({ apiVersion: undefined, federation, now })

/** `answered`, or the failure's kind and code. */
async function askAt(endpoint: string, { ask = anAdapter(), signal = NEVER } = {}) {
  const deployment = aDeployment({ endpoint })
  const job = { url: '/v1/chat/completions', body: { messages: [] } } as const
  const reply = await ask({ job, deployment, clientRequestId: 'c' }, 't', signal)
  return reply.ok ? ['answered'] : [reply.failure.kind, reply.failure.code]
}

describe('certainly not sent', () => {
  test('is what no connection was made for: its name is not known', async () => {
    const [kind, code] = await askAt('https://no-such-host.invalid')
    assert.equal(kind, 'unreachable')
    assert.match(code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/)
  })

  for (const scheme of ['http', 'https']) {
    test(`is what none of several addresses was reached for, over ${scheme}`, async (t) => {
      const port = await unusedPort(t)
      resolveTo(t, '127.0.0.2', '127.0.0.3')
      assert.deepEqual(await askAt(`${scheme}://res.openai.azure.test:${port}`), ['unreachable', 'ECONNREFUSED'])
    })
  }

  const beforeSecure: Readonly<Record<string, (socket: Socket) => void>> = {
    'reset at once': (socket) => socket.resetAndDestroy(),
    'ended at once': (socket) => socket.end(),
    'reset in the middle of its handshake': (socket) => socket.once('data', () => socket.resetAndDestroy()),
    'ended in the middle of its handshake': (socket) => socket.once('data', () => socket.end()),
    'refused by a TLS alert': (socket) =>
      socket.once('data', () => socket.end(Uint8Array.of(0x15, 3, 3, 0, 2, 2, 0x28))),
    'answered in plain text': (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  }
  for (const [what, act] of Object.entries(beforeSecure)) {
    test(`is what was meant for a connection that was ${what}, before it was secured`, async (t) => {
      const [kind, code] = await askAt(`https://127.0.0.1:${await onConnection(t, act)}`)
      assert.equal(kind, 'unreachable')
      assert.match(code ?? '', /^E[A-Z_]+/)
    })
  }

  test('is what was meant for a server whose certificate is not trusted, or is for another host', async (t) => {
    const seen: unknown[] = []
    resolveTo(t, '127.0.0.1')
    for (const [{ keyPem: key, certPem: cert }, host, code] of [
      [await makeCertificate(), '127.0.0.1', /SELF_SIGNED/],
      [trusted, 'res.openai.azure.test', /ERR_TLS_CERT_ALTNAME_INVALID/],
    ] as const) {
      const port = await listen(
        t,
        createHttps({ key, cert }, (request) => seen.push(request.url)),
      )
      const [kind, detail] = await askAt(`https://${host}:${port}`)
      assert.equal(kind, 'unreachable')
      assert.match(detail ?? '', code)
    }
    assert.deepEqual(seen, [])
  })

  test('is a request that was aborted before or while it connected', async (t) => {
    const giveUp = new AbortController()
    const { signal } = giveUp
    const endpoint = `https://127.0.0.1:${await onConnection(t, () => giveUp.abort())}`
    assert.deepEqual(await askAt(endpoint, { signal }), ['unreachable', undefined])
    assert.deepEqual(await askAt(endpoint, { signal }), ['unreachable', undefined])
  })

  test('is what a server secured no connection for within ten seconds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const port = await onConnection(t, () => t.mock.timers.tick(10_000))
    assert.deepEqual(await askAt(`https://127.0.0.1:${port}`), ['unreachable', 'ETIMEDOUT'])
  })
})

describe('perhaps sent', () => {
  const received: Readonly<Record<string, (response: ServerResponse) => void>> = {
    'reset before its answer': ({ socket }) => reset(socket),
    'ended before its answer': ({ socket }) => socket?.end(),
    'ended after half an answer': (response) => {
      response.writeHead(200, { 'content-length': ANSWER.length })
      response.write(ANSWER.slice(0, 10), () => response.socket?.destroy())
    },
    'ended after half an answer without a declared length': (response) => {
      response.writeHead(200, { connection: 'close' })
      response.write(ANSWER.slice(0, 10), () => response.socket?.destroy())
    },
  }
  for (const [what, act] of Object.entries(received)) {
    test(`is what was received on a connection that was ${what}`, async (t) => {
      for (const endpoint of await servedBoth(t, act)) assert.equal((await askAt(endpoint))[0], 'ambiguous', endpoint)
    })
  }

  test('is what was sent over a kept connection that is reset before a byte of the answer', async (t) => {
    let requests = 0
    const act = (response: ServerResponse) => {
      requests += 1
      if (requests === 1) response.end(ANSWER)
      else reset(response.socket)
    }
    for (const endpoint of await servedBoth(t, act)) {
      requests = 0
      const ask = anAdapter()
      assert.deepEqual(await askAt(endpoint, { ask }), ['answered'])
      assert.equal((await askAt(endpoint, { ask }))[0], 'ambiguous')
    }
  })
})

describe('a kept connection', () => {
  /** Asks in turn at these times, and returns the number of connections; `headers` are those of each answer. */
  async function connectionsAt(t: TestContext, times: readonly number[], headers: Record<string, string> = {}) {
    const counts: number[] = []
    for (const secure of [false, true]) {
      const sockets = new Set<unknown>()
      const endpoints = await servedBoth(t, (response) => {
        sockets.add(response.socket)
        response.writeHead(200, headers).end(ANSWER)
      })
      let now = 0
      const ask = anAdapter(() => now)
      for (const time of times) {
        now = time
        assert.deepEqual(await askAt(endpoints[secure ? 1 : 0] ?? '', { ask }), ['answered'])
      }
      counts.push(sockets.size)
    }
    return counts
  }

  test('is used again within four seconds', async (t) => {
    assert.deepEqual(await connectionsAt(t, [0, 3_999, 7_998]), [1, 1])
  })

  test('that was idle for longer is not used again: this process may have been frozen for 12 s', async (t) => {
    assert.deepEqual(await connectionsAt(t, [0, 12_000, 16_000]), [3, 3])
  })

  test('is not used again where the clock went backwards', async (t) => {
    assert.deepEqual(await connectionsAt(t, [10_000, 9_999]), [2, 2])
  })

  test('is not used again where its server is about to close it', async (t) => {
    assert.deepEqual(await connectionsAt(t, [0, 1], { 'keep-alive': 'timeout=1' }), [2, 2])
    assert.deepEqual(await connectionsAt(t, [0, 1], { connection: 'close' }), [2, 2])
  })

  test('that its server has closed is replaced', async (t) => {
    const closed: Promise<unknown>[] = []
    const [endpoint = ''] = await servedBoth(t, (response) => {
      const { socket } = response
      response.end(ANSWER, () => setImmediate(() => socket?.end()))
      closed.push(once(socket ?? response, 'close'))
    })
    const ask = anAdapter()
    assert.deepEqual(await askAt(endpoint, { ask }), ['answered'])
    await closed[0]
    assert.deepEqual(await askAt(endpoint, { ask }), ['answered'])
  })
})

test('a proxy is used where Node is asked to use the one of the environment', async (t) => {
  const urls: (string | undefined)[] = []
  const proxy = createHttp((request, response) => {
    urls.push(request.url)
    response.end(ANSWER)
  })
  const before = globalAgent.options.proxyEnv
  t.after(() => Object.assign(globalAgent.options, { proxyEnv: before }))
  globalAgent.options.proxyEnv = { http_proxy: `http://127.0.0.1:${await listen(t, proxy)}` }
  assert.deepEqual(await askAt('http://res.openai.azure.test'), ['answered'])
  assert.deepEqual(urls, ['http://res.openai.azure.test/openai/v1/chat/completions'])
})

test('an answer with 40 KiB of headers is read', async (t) => {
  const headers = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`x-${n}`, 'x'.repeat(4_096)]))
  const [endpoint = ''] = await servedBoth(t, (response) => response.writeHead(200, headers).end(ANSWER))
  assert.deepEqual(await askAt(endpoint), ['answered'])
})
