import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Subscription } from '@google-cloud/pubsub'
import { createPubSub } from '../../../../shared/queues/pubsub/pubsub-queue.ts'
import { startWarmEmulator } from '../../support/emulators.ts'
import type { Bench } from '../harness/bench.ts'
import { runMeasured } from './run-measured.ts'
import { CPU, linesOf, sampleOf } from './submit-bench.ts'

const OURS = 'promptbridge submit'
const BARE = '@google-cloud/pubsub with flow control'
const MODULE = join(import.meta.dirname, 'send-measured.ts')
const DELIVERED_WITHIN_MS = 120_000

export const bench: Bench = {
  title: 'Sending the lines of a checked file to Pub/Sub: each arrives at a subscription',
  rounds: 5,
  jobsPerRound: 50_000,
  bars: [{ contestant: OURS, metric: CPU, is: 'at most', value: 1.1, timesThatOf: BARE }],
  async open() {
    await using opened = new AsyncDisposableStack()
    const emulator = opened.adopt(await startWarmEmulator('pubsub'), (own) => own.close())
    const folder = opened.adopt(await mkdtemp(join(tmpdir(), 'bench-submit-')), (own) => rm(own, { recursive: true }))
    const admin = opened.adopt(createPubSub({ project: 'bench', emulator: emulator.address }), (own) => own.close())
    const file = join(folder, 'jobs.jsonl')
    async function measure(way: string, jobs: number, round: number) {
      const name = `jobs-${way}-${round}`
      await pipeline(Readable.from(linesOf(jobs)), createWriteStream(file))
      const [topic] = await admin.createTopic(name)
      const [subscription] = await topic.createSubscription(name)
      const took = await runMeasured(MODULE, [way, file, name, emulator.address], join(folder, 'output'))
      const delivered = await countDelivered(subscription, jobs)
      if (delivered !== jobs) throw new Error(`${delivered} of ${jobs} messages were delivered`)
      await subscription.delete()
      await topic.delete()
      return sampleOf(took, jobs)
    }
    const cleanups = opened.move()
    return {
      contestants: [
        { name: OURS, run: (jobs, round) => measure('ours', jobs, round) },
        { name: BARE, run: (jobs, round) => measure('bare', jobs, round) },
      ],
      [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
    }
  },
}

/** Counts messages by their id, because a message may be delivered twice. */
async function countDelivered(subscription: Subscription, expected: number): Promise<number> {
  const ids = new Set<string>()
  const all = Promise.withResolvers<void>()
  const late = setTimeout(all.resolve, DELIVERED_WITHIN_MS)
  subscription.on('error', all.reject)
  subscription.on('message', (message) => {
    message.ack()
    ids.add(message.id)
    if (ids.size === expected) all.resolve()
  })
  try {
    await all.promise
  } finally {
    clearTimeout(late)
    await subscription.close()
  }
  return ids.size
}
