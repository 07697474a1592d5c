import { once } from 'node:events'
import { chownSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { firstLine, startChild } from '../../../cli/child-process.ts'
import { freePort } from '../../../cli/free-port.ts'
import { createPublisher, createResultReader } from '../../../shared/client/index.ts'
import type { Image } from './perform-stages.ts'
import { runWorker, stopWorker } from './run-worker.ts'

const LOCAL = join(import.meta.dirname, '../../../local/main.ts')
const GIVE_UP_AFTER_MS = 300_000

const readySchema = z.object({
  control: z.object({ push: z.url() }),
  environment: z.record(z.string(), z.string()),
})
const callsSchema = z.array(z.object({ status: z.number().nullable() }))

/**
 * Has a job pushed, with a signed token, to a worker that verifies it.
 *
 * Throws unless the push is answered with 204, the record is settled, and the worker ends in order.
 */
export async function checkOnStandIns(image: Image, state: string): Promise<string> {
  await using started = new AsyncDisposableStack()
  const signal = AbortSignal.timeout(GIVE_UP_AFTER_MS)
  const address = `http://127.0.0.1:${await freePort()}`
  const { PATH = '', HOME = '' } = process.env
  const file = join(state, 'state.db')
  const topics = { jobsTopic: 'jobs', deadLetterTopic: 'dead-letter' }
  const standIns = startChild({
    name: 'the stand-ins',
    file: LOCAL,
    args: [JSON.stringify({ state: file, caPath: join(state, 'ca.pem'), pushTo: `${address}/push`, ...topics })],
    folder: state,
    environment: { PATH, HOME },
    log: 'stand-ins.log',
    isHeard: true,
  })
  started.defer(() => standIns.stop().then(() => undefined))
  const { control, environment } = readySchema.parse(JSON.parse(await firstLine(standIns, signal)))

  await using publisher = await createPublisher({ store: `sqlite:${file}`, topic: topics.jobsTopic })
  // The stand-ins made the file as root, and the worker has to write to it.
  for (const made of globSync('*', { cwd: state })) chownSync(join(state, made), image.uid, image.gid)
  const settings = { HOST: '127.0.0.1', PORT: new URL(address).port, STORE: 'sqlite:/state/state.db' }
  const trust = { NODE_EXTRA_CA_CERTS: '/state/ca.pem' }
  await using worker = runWorker(image, state, { ...environment, ...settings, ...trust, PUSH_AUTH: 'verify' })
  await worker.url()

  const key = await publisher.submit({ id: 'image', prompt: 'Bridges carry people over water, in all weathers.' })
  await Promise.race([worker.logged(/^job succeeded/), rejectOn(signal)])
  await using results = await createResultReader({ store: `sqlite:${file}` })
  const status = (await results.read(key))?.status
  if (status !== 'succeeded') throw new Error(`the record is ${status}, not succeeded`)
  await stopWorker(worker)
  const calls = callsSchema.parse(await (await fetch(`${control.push}/__calls`, { signal })).json())
  const answers = calls.map((call) => call.status).join(', ')
  if (answers !== '204') throw new Error(`the push was answered with ${answers}, not 204`)
  return 'a verified push: 204, the record is settled; SIGTERM: ended with 0'
}

async function rejectOn(signal: AbortSignal): Promise<never> {
  await once(signal, 'abort')
  throw new Error(`no job succeeded within ${GIVE_UP_AFTER_MS / 1_000} s`)
}
