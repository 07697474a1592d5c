// Sends the lines of a file to a topic, as submit does after its check or with Google's client alone, and prints what it took.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createLinePlan } from '../../../../cli/submit/line-plan.ts'
import { sendLines } from '../../../../cli/submit/send-lines.ts'
import { MAX_JOB_BYTES } from '../../../../shared/job/parse-job.ts'
import { splitLines } from '../../../../shared/lib/split-lines.ts'
import { createPubSub, openPubSubQueue } from '../../../../shared/queues/pubsub/pubsub-queue.ts'

const [way, file = '', topic = '', emulator = ''] = process.argv.slice(2)
const options = { project: 'bench', emulator }
const attributes = { batch: 'b' }

async function ours(): Promise<() => Promise<void>> {
  const plan = createLinePlan()
  for await (const line of splitLines(createReadStream(file), MAX_JOB_BYTES)) plan.send(line)
  const queue = openPubSubQueue(options)
  const nothing = () => undefined
  const { signal } = new AbortController()
  return async () => {
    const sending = { queue, topic, attributes, plan, signal, onPublished: nothing, beforeFirst: async () => nothing() }
    await sendLines(createReadStream(file), sending)
    await queue.close()
  }
}

async function bare(): Promise<() => Promise<void>> {
  const client = createPubSub(options)
  const publisher = client.topic(topic, { flowControlOptions: { maxOutstandingMessages: 1_000 } }).flowControlled()
  return async () => {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const wait = publisher.publish({ data: Buffer.from(line), attributes })
      if (wait) await wait
    }
    await publisher.all()
    await client.close()
  }
}

const send = await (way === 'ours' ? ours() : bare())
const [startedAt, before] = [performance.now(), process.cpuUsage()]
await send()
const { user, system } = process.cpuUsage(before)
const wallMs = performance.now() - startedAt
const peakMiB = process.resourceUsage().maxRSS / 1_024
process.stderr.write(`${JSON.stringify({ code: 0, wallMs, cpuMs: (user + system) / 1_000, peakMiB })}\n`)
