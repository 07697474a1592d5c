import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import type { Deployment } from '../../shared/config/deployments.ts'
import type { FailureKind } from '../../shared/job/failures.ts'
import type { Job } from '../../shared/job/job.ts'
import { type ModelProvider, type ModelReply, NotReadyError } from '../../shared/models/provider.ts'
import { listen, onConnection, unusedPort } from '../support/sockets.ts'

/** A provider, and how its service answers over HTTP. */
export interface ProviderSubject {
  /** Opens the provider. `held`: its credential is this text. `absent`: no credential can be had. */
  readonly open: (credential: { held: string } | 'absent') => ModelProvider
  readonly deploymentAt: (url: string) => Deployment
  readonly job: Pick<Job, 'url' | 'body'>
  /** The body of an answer. */
  readonly answer: string
  /** The headers that a request may have, beside those of HTTP itself. */
  readonly headers: readonly string[]
  /** Refusals in the service's own format. */
  readonly refusals: readonly Refusal[]
  /** The longest answer that is read, in bytes. */
  readonly maxAnswerBytes: number
}

interface Refusal {
  readonly what: string
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly kind: FailureKind
}

const CREDENTIAL = 'canary-credential'
/** Of HTTP itself. */
const TRANSPORT = ['host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding']
const NEVER = new AbortController().signal
const NO_WAIT = { until: Number.MAX_SAFE_INTEGER, waitUntil: () => undefined }

type Act = (response: ServerResponse) => void

/** A service that does this with each request, once it has come as a whole. */
async function aService(t: TestContext, act: Act) {
  const requests: IncomingHttpHeaders[] = []
  const server = createServer(async (request, response) => {
    await buffer(request)
    requests.push(request.headers)
    act(response)
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, requests }
}

export function describeModelProvider(name: string, subject: ProviderSubject): void {
  const { open, deploymentAt, job, answer, headers, refusals, maxAnswerBytes } = subject

  async function ask(url: string, signal: AbortSignal = NEVER, provider = open({ held: CREDENTIAL })) {
    const deployment = deploymentAt(url)
    const send = await provider.ready(deployment, NEVER, NO_WAIT)
    return send({ job, deployment, clientRequestId: 'key.1.1' }, signal)
  }

  const kindOf = (reply: ModelReply) => (reply.ok ? 'ok' : reply.failure.kind)

  describe(`the model provider ${name}`, () => {
    test('is not ready without a credential, and says which failure that is', async () => {
      const deployment = deploymentAt('http://127.0.0.1')
      await assert.rejects(open('absent').ready(deployment, NEVER, { ...NO_WAIT, until: 0 }), NotReadyError)
    })

    test('stops waiting for its credential when the signal aborts', async () => {
      const reason = new Error('enough')
      const ready = open('absent').ready(deploymentAt('http://127.0.0.1'), AbortSignal.abort(reason), NO_WAIT)
      await assert.rejects(ready, reason)
    })

    test('resolves with the answer as it came', async (t) => {
      const { url } = await aService(t, (response) => response.end(answer))
      const reply = await ask(url)
      assert.ok(reply.ok, JSON.stringify(reply))
      assert.equal(reply.text, answer)
    })

    test('sends a request once, with its credential, and no header beyond the list', async (t) => {
      const { url, requests } = await aService(t, (response) => response.end(answer))
      await ask(url)
      const [sent, ...others] = requests
      assert.deepEqual(others, [])
      const unlisted = Object.keys(sent ?? {}).filter((header) => ![...TRANSPORT, ...headers].includes(header))
      assert.deepEqual(unlisted, [])
      assert.match(JSON.stringify(sent), new RegExp(CREDENTIAL))
    })

    for (const { what, status, body = {}, headers = {}, kind } of refusals) {
      test(`classifies ${what} as ${kind}, sends nothing more, and repeats no credential`, async (t) => {
        const { url, requests } = await aService(t, (response) =>
          response
            .writeHead(status, { 'content-type': 'application/json', ...headers })
            .end(JSON.stringify({ error: { ...body, said: CREDENTIAL } })),
        )
        const reply = await ask(url)
        assert.deepEqual([kindOf(reply), requests.length], [kind, 1])
        assert.doesNotMatch(JSON.stringify(reply), new RegExp(CREDENTIAL))
      })
    }

    test('classifies a refused connection as unreachable: nothing was sent', async (t) => {
      assert.equal(kindOf(await ask(`http://127.0.0.1:${await unusedPort(t)}`)), 'unreachable')
    })

    const unknown: Readonly<Record<string, Act>> = {
      'no answer': ({ socket }) => socket?.destroy(),
      'half an answer': (response) => {
        response.writeHead(200, { 'content-length': answer.length })
        response.write(answer.slice(0, -1), () => response.socket?.destroy())
      },
      'an answer that is no JSON': (response) => response.end('<html>'),
      'an answer in another format': (response) => response.end('{"answer":42}'),
      'something that is not HTTP': ({ socket }) => socket?.end('SSH-2.0-OpenSSH_9.7\r\n'),
    }
    for (const [what, act] of Object.entries(unknown)) {
      test(`classifies ${what} as ambiguous: the request may have been billed`, async (t) => {
        const { url, requests } = await aService(t, act)
        assert.deepEqual([kindOf(await ask(url)), requests.length], ['ambiguous', 1])
      })
    }

    test('stops when the signal aborts while it connects', async (t) => {
      const abort = new AbortController()
      // A TLS server that never says anything.
      const port = await onConnection(t, () => abort.abort())
      assert.equal(kindOf(await ask(`https://127.0.0.1:${port}`, abort.signal)), 'unreachable')
    })

    for (const isBegun of [false, true]) {
      test(`stops when the signal aborts while it ${isBegun ? 'reads' : 'waits for'} the answer, and closes the connection`, async (t) => {
        const abort = new AbortController()
        const closed = Promise.withResolvers<void>()
        const { url } = await aService(t, (response) => {
          response.socket?.once('close', closed.resolve)
          if (isBegun) response.write(answer.slice(0, 5), () => abort.abort())
          else abort.abort()
        })
        assert.equal(kindOf(await ask(url, abort.signal)), 'ambiguous')
        await closed.promise
      })
    }

    test('reads no more of an answer than its limit, and classifies it as oversized', async (t) => {
      const closed = Promise.withResolvers<void>()
      const chunk = Buffer.alloc(1024 * 1024, ' ')
      let sent = 0
      const { url } = await aService(t, (response) => {
        response.once('close', closed.resolve)
        const more = () => {
          sent += chunk.length
          if (!response.destroyed) response.write(chunk, more)
        }
        more()
      })
      assert.equal(kindOf(await ask(url)), 'oversized')
      await closed.promise
      // What the sockets hold on either side is on its way.
      assert.ok(sent < 2 * maxAnswerBytes + 64 * chunk.length, `${sent} bytes`)
    })

    test('follows no redirect: the prompt and the credential go to no other address', async (t) => {
      const elsewhere = await aService(t, (response) => response.end(answer))
      for (const status of [301, 302, 303, 307, 308]) {
        const { url } = await aService(t, (response) => response.writeHead(status, { location: elsewhere.url }).end())
        assert.equal(kindOf(await ask(url)), 'forbidden')
      }
      assert.deepEqual(elsewhere.requests, [])
    })
  })
}
