import type { TestContext } from 'node:test'
import type { Failure } from '../../shared/job/failures.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { openSqliteDocuments } from '../../shared/stores/sqlite/sqlite-documents.ts'
import type { DeadLetterCause } from '../../worker/dead-letters/message.ts'
import type { DeliveredJob } from '../../worker/delivery/delivery.ts'
import type { Outcome } from '../../worker/delivery/outcome.ts'
import { processJob } from '../../worker/jobs/process-job.ts'
import { aDeployment } from './deployment-builders.ts'
import { aJob, START } from './job-builders.ts'
import { type JobParts, jobDependencies } from './job-dependencies.ts'
import { circuitsOf, partsOver } from './job-processing.ts'

type Answered = Extract<ModelReply, { ok: true }>

/** A model's answer, with a usage of one token for the prompt and one for the answer. */
export function aReply(over: Partial<Answered> = {}): Answered {
  const usage = { promptTokens: 1, completionTokens: 1 }
  return { ok: true, text: '{}', usage, finishReason: 'stop', httpStatus: 200, requestId: undefined, ...over }
}

/** A reply without an answer. */
export function failed(kind: Failure['kind'], more: Partial<Failure> = {}): ModelReply {
  return { ok: false, failure: { kind, message: kind, ...more } }
}

/**
 * Deliveries of a job over records in memory, by a clock that only the test moves.
 *
 * `parts` are those of one worker whose model answers at once; `asked` has the requests that this model was sent, and
 * `letters` the cause of each dead letter.
 */
export async function virtualJobs(t: TestContext, job = aJob()) {
  const clock = { now: START }
  const now = () => clock.now
  const documents = await openSqliteDocuments(':memory:', now)
  t.after(() => documents.close())
  const [asked, letters]: [string[], DeadLetterCause[]] = [[], []]
  const parts: JobParts = {
    ...partsOver(documents, asked, async (_, cause) => void letters.push(cause)),
    circuits: circuitsOf(now),
    deployments: [aDeployment()],
    modelTimeoutMs: 120_000,
    elapsed: now,
    now,
  }
  const delivery = (over: Partial<DeliveredJob> = {}): DeliveredJob => ({
    job,
    message: { data: Buffer.from('{}'), attributes: {} },
    publishedAt: START,
    deadline: clock.now + 570_000,
    waitUntil: () => undefined,
    ...over,
  })
  return {
    clock,
    now,
    documents,
    asked,
    letters,
    parts,
    deliver: (to: JobParts, over?: Partial<DeliveredJob>) => processJob(jobDependencies(to), delivery(over)),
    record: async () => (await documents.read(job.key))?.record,
  }
}

/** What became of a delivery, in one word. */
export function fateOf(outcome: Outcome): string {
  return outcome.done ? outcome.as : outcome.failure.kind
}
