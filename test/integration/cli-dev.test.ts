import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { z } from 'zod'
import { runHosted } from '../support/run-hosted.ts'
import { newFolder, startCommand } from './cli-harness.ts'

/** A server of one's own that refuses the first push, and gives the requests in the order of their arrival. */
async function startReceiver(t: TestContext) {
  const pushes: { readonly authorization: string; readonly body: unknown }[] = []
  const twice = Promise.withResolvers<void>()
  const server = createServer(async (request: IncomingMessage, response) => {
    pushes.push({ authorization: request.headers.authorization ?? '', body: await json(request) })
    response.writeHead(pushes.length === 1 ? 500 : 204).end()
    if (pushes.length === 2) twice.resolve()
  }).listen(0, '127.0.0.1')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  const { port } = z.object({ port: z.number() }).parse(server.address())
  return { url: `http://127.0.0.1:${port}/events`, pushes, twice: twice.promise }
}

const printedSchema = z.object({ store: z.string(), worker: z.url(), eventKeys: z.url() })
const envelope = z.strictObject({
  message: z.strictObject({
    data: z.string(),
    attributes: z.record(z.string(), z.string()),
    ...{ messageId: z.string(), message_id: z.string(), publishTime: z.iso.datetime(), publish_time: z.string() },
  }),
  subscription: z.string().startsWith('projects/'),
})

test('dev: a job that submit publishes comes back as a signed push with its metadata, again until the server accepts it; Ctrl-C ends all', async (t) => {
  const receiver = await startReceiver(t)
  const cwd = await newFolder(t)
  const dev = startCommand(t, ['dev', '--events-to', receiver.url, '--json'], { cwd })
  await dev.printed(/\n/)
  const printed = printedSchema.parse(JSON.parse(dev.stdout()))
  assert.equal((await fetch(`${printed.worker}/push`, { method: 'POST', body: '{}' })).status, 403)

  const input = join(cwd, 'event.jsonl')
  await writeFile(
    input,
    JSON.stringify({
      ...{ custom_id: 'order-7', method: 'POST', url: '/v1/chat/completions', metadata: { order: '7' } },
      body: { model: 'gpt-4o', messages: [{ role: 'user', content: 'Bridges carry people over water.' }] },
    }),
  )
  const submitted = await runHosted(['submit', input, '--store', printed.store], { cwd })
  assert.equal(submitted.code, 0, submitted.stderr)
  await receiver.twice
  const [first, second] = receiver.pushes.map(({ body }) => envelope.parse(body))
  assert.deepEqual(first, second)
  assert.partialDeepStrictEqual(first?.message.attributes, { order: '7', status: 'succeeded' })
  const data: unknown = JSON.parse(Buffer.from(first?.message.data ?? '', 'base64').toString())
  assert.partialDeepStrictEqual(data, { id: 'order-7', status: 'succeeded', metadata: { order: '7' } })
  const token = receiver.pushes[0]?.authorization.replace(/^Bearer /, '') ?? ''
  const verified = await jwtVerify(token, createRemoteJWKSet(new URL(printed.eventKeys)), { audience: receiver.url })
  assert.equal(verified.payload.iss, 'https://accounts.google.com')

  dev.signalGroup('SIGINT')
  assert.equal((await dev.ended).code, 0)
  await dev.groupEnded()
})
