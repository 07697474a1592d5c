import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grpc } from 'google-gax'
import { startPublisher } from '../../support/publisher-stand-in.ts'
import { message, openQueueAt, startQueue, unavailable } from '../../support/pubsub-queue.ts'
import { openFaultProxy } from '../support/fault-proxy.ts'

const { status } = grpc
/** Google's library would, by itself. */
const LIBRARY_GIVES_UP_MS = 600_000

async function timed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

describe('a fault that lasts', { concurrency: true }, () => {
  for (const [name, answer] of [
    ['a quota that is used up', status.RESOURCE_EXHAUSTED],
    ['a server that never answers', 'never'],
  ] as const) {
    test(`is reported after ten seconds: ${name}`, async () => {
      await using on = await startQueue(() => answer)
      const waitedMs = await timed(assert.rejects(on.queue.publish('jobs', message('a')), unavailable))
      assert.ok(waitedMs > 7_000 && waitedMs < LIBRARY_GIVES_UP_MS, `${waitedMs} ms`)
    })
  }

  test('is over with its end, for the first publish after it: no connection can be made for half a minute', async () => {
    await using publisher = await startPublisher(() => 'ids')
    await using network = await openFaultProxy(publisher.address)
    await using queue = openQueueAt(network.address)
    network.cut()
    for (let tries = 0; tries < 3; tries += 1) {
      await assert.rejects(queue.publish('jobs', message('a')), unavailable)
    }
    network.restore()
    assert.equal(await queue.publish('jobs', message('a')), 'id of a')
  })

  test('is over with the connection that it was on: this one died without a word', async () => {
    await using publisher = await startPublisher(() => 'ids')
    await using network = await openFaultProxy(publisher.address)
    await using queue = openQueueAt(network.address)
    await queue.publish('jobs', message('a'))
    network.strand()
    // Each lasts ten seconds, whatever the machine.
    let failed = 0
    const untilPublished = async (): Promise<unknown> =>
      queue.publish('jobs', message('b')).catch(() => {
        failed += 1
        return untilPublished()
      })
    await untilPublished()
    assert.ok(failed <= 5, `${failed} failed publishes`)
  })
})
