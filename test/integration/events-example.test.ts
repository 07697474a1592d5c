import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { openSqliteQueue } from '../../shared/queues/sqlite/sqlite-queue.ts'
import { batchEvent } from '../../worker/events/batch-event.ts'
import { placeFault, startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'
import { drained, startPush } from './pubsub-push-harness.ts'

const EXAMPLE = join(import.meta.dirname, '../../docs/examples/receive-events.mts')

const RESOLVE = join(import.meta.dirname, '../support/resolve-client.mjs')

/** Runs the example; `end` stops it and gives what it printed. */
async function startExample(port: number) {
  const child: ChildProcess = spawn(process.execPath, ['--import', RESOLVE, EXAMPLE, `${port}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
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
  await publishBatchEvent(worker.file)

  const port = await freePort()
  const example = await startExample(port)
  const endpoint = `http://127.0.0.1:${port}/`
  const subscription = await startPush(t, worker.file, endpoint, {
    name: 'projects/p/subscriptions/e',
    topic: 'events',
  })
  assert.equal((await drained(subscription)).acked, 4)
  const lines = (await example.end()).trim().split('\n').slice(1)
  assert.equal(lines.length, 3)
  assert.match(lines[0] ?? '', /^promptbridge\.job\.succeeded bridge ".*Bridges/)
  assert.match(lines[1] ?? '', /^promptbridge\.job\.dead_lettered tunnel ".+"$/)
  assert.equal(lines[2], 'promptbridge.batch.completed nightly 2 jobs {"succeeded":2}')
})

async function publishBatchEvent(file: string): Promise<void> {
  const queue = await openSqliteQueue(file, Date.now)
  const tokens = { promptTokens: 1, completionTokens: 1 }
  const ended = { as: 'completed', total: 2, at: 1, counts: { succeeded: 2 }, tokens, sweptAt: 1 } as const
  await queue.publish('events', batchEvent({ name: 'nightly', createdAt: 1, ...ended }, '/promptbridge'))
  await queue.close()
}
