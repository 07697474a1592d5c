import type { JobQueue } from '../../shared/queues/job-queue.ts'
import type { BatchLine } from './demo-jobs.ts'
import type { DemoState } from './demo-state.ts'

/** Publishes the jobs of a batch that is not sealed yet, and seals it. Resolves with how many jobs the batch has. */
export async function submit(
  { batch, batches }: DemoState,
  queue: JobQueue,
  topic: string,
  lines: readonly BatchLine[],
): Promise<number> {
  if (batch.status === 'sealed') return batch.total
  const attributes = { batch: batch.name }
  const messages = lines.map((line) => ({ data: Buffer.from(JSON.stringify(line)), attributes }))
  await queue.publishAll(topic, messages)
  await batches.seal(batch.name, lines.length, Date.now())
  return lines.length
}
