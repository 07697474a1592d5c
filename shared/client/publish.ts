import { parseJob } from '../job/parse-job.ts'
import type { Clock } from '../lib/clock.ts'
import { sha256 } from '../lib/sha256.ts'
import { type JobQueue, type Message, QueueError } from '../queues/job-queue.ts'
import type { BatchStore } from '../stores/batch-store.ts'
import { BatchObstacleError, submitBatch } from '../stores/submit-batch.ts'
import { checkSubmit } from './check-arguments.ts'
import { ClientError } from './client-error.ts'
import { renderJob } from './render-job.ts'
import type { JobInput, Publisher } from './types.ts'

interface PublishDependencies {
  readonly queue: () => Promise<Pick<JobQueue, 'publish' | 'publishAll'>>
  readonly batches: () => Promise<Pick<BatchStore, 'read' | 'open' | 'limitTokens' | 'seal'>>
  readonly topic: string
  readonly now: Clock
}

/** Publishes jobs. The store of batches is opened only for jobs that are submitted as a batch. */
export function createSubmits(dependencies: PublishDependencies): Pick<Publisher, 'submit' | 'submitAll'> {
  const { topic, now } = dependencies
  return {
    async submit(job) {
      const { key, message } = readJob(job)
      const queue = await dependencies.queue()
      await queue.publish(topic, message)
      return key
    },
    async submitAll(jobs, options = {}) {
      const { batch: name, tokenLimit, resubmit: again = false } = checkSubmit(jobs, options)
      const read = jobs.map((job) => readJob(job, name))
      const messages = read.map(({ message }) => message)
      const keys = read.map(({ key }) => key)
      const queue = await dependencies.queue()
      if (name === undefined) {
        await queue.publishAll(topic, messages)
        return keys
      }
      const repeated = keys.length - countJobs(read)
      await namingObstacles(
        submitBatch(await dependencies.batches(), {
          ...{ name, tokenLimit, again, howAgain: 'set resubmit', now },
          async publish(beforeFirst) {
            if (messages.length > 0) await beforeFirst()
            await queue.publishAll(topic, messages)
            return { published: messages.length, repeated }
          },
        }),
      )
      return keys
    },
  }
}

interface ReadJob {
  readonly key: string
  readonly hash: string
  readonly message: Message
}

/** Parses a job by the worker's rules, so that its sender sees a mistake at once. */
function readJob(job: JobInput, batch?: string): ReadJob {
  const text: string | undefined = JSON.stringify(renderJob(job))
  if (text === undefined) throw new TypeError('submit: the job is missing')
  const data = new TextEncoder().encode(text)
  const attributes = batch === undefined ? {} : { batch }
  const parsed = parseJob(data, attributes, sha256)
  if (!parsed.ok) throw new QueueError('refused', `This is not a job: ${parsed.problem}`)
  const { key, batch: named, payloadHash: hash } = parsed.job
  if (batch !== undefined && named !== batch) {
    throw new QueueError('refused', 'This job names another batch than the one that it is submitted to')
  }
  return { key, hash, message: { data, attributes } }
}

/** How many jobs these are. The same job twice is one. Throws if two jobs have one id. */
function countJobs(jobs: readonly ReadJob[]): number {
  const hashes = new Map<string, string>()
  for (const { key, hash } of jobs) {
    if ((hashes.get(key) ?? hash) !== hash) throw new QueueError('refused', 'Two of these jobs have the same id')
    hashes.set(key, hash)
  }
  return hashes.size
}

async function namingObstacles<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof BatchObstacleError)) throw error
    throw new ClientError('exists', error.message)
  }
}
