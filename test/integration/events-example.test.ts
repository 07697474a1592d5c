import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'
import { drained, startPush } from './pubsub-push-harness.ts'

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/receive-events.ts')

/** Runs the example; `end` stops it and gives what it printed. */
async function startExample(port: number) {
  const child: ChildProcess = spawn(process.execPath, [EXAMPLE, `${port}`], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let printed = ''
  const listening = new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk) => {
      printed += chunk
      if (printed.includes('listening')) resolve()
    })
  })
  await Promise.race([listening, closed])
  return {
    async end() {
      child.kill()
      await closed
      return printed
    },
  }
}

test('the events example reads the events that the worker published, and reports each once', async (t) => {
  await using cloud = await startCloud()
  await using worker = await startWorker(cloud, { settings: { EVENTS_TOPIC: 'events' } })
  const job = { id: 'bridge', prompt: 'Bridges carry people over water, in all weathers.' }
  await worker.push(job)
  await worker.push(job)
  await placeFault(cloud.azure, { kind: 'status', error: 'content_filter', times: 1 })
  await worker.push({ ...job, id: 'tunnel' })

  const port = await freePort()
  const example = await startExample(port)
  const endpoint = `http://127.0.0.1:${port}/`
  const subscription = await startPush(t, worker.file, endpoint, {
    name: 'projects/p/subscriptions/e',
    topic: 'events',
  })
  assert.equal((await drained(subscription)).acked, 3)
  const lines = (await example.end()).trim().split('\n').slice(1)
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /^promptbridge\.job\.succeeded bridge ".*Bridges/)
  assert.match(lines[1] ?? '', /^promptbridge\.job\.dead_lettered tunnel ".+"$/)
})
