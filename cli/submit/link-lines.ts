import { parseJob } from '../../shared/job/parse-job.ts'
import type { LinkedJob } from '../../shared/job/transitions.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import type { LinePlan } from './line-plan.ts'
import { addUse, type ModelUse, useOf } from './model-use.ts'
import { plannedLines } from './planned-lines.ts'

/** How many jobs of an input are linked to earlier answers, and what the others ask for. */
export interface Links {
  readonly linked: number
  /** As that of CheckedLines, without the linked jobs. */
  readonly models: ReadonlyMap<string, ModelUse>
}

export interface LinkOptions {
  readonly attributes: Message['attributes']
  readonly plan: LinePlan
  /** Resolves with whether the job has an earlier answer. */
  readonly link: (job: LinkedJob) => Promise<boolean>
  /** `count`: all linked jobs so far. */
  readonly onLinked: (count: number) => void
  /** Links no more once it is aborted. */
  readonly signal: AbortSignal
}

/** Each may hold a record and a part of an answer, about 2 MB. */
const MAX_PENDING = 16

/**
 * Links each planned job that has an earlier answer, and takes its line out of the plan. Resolves also if `signal` was aborted.
 *
 * Rejects if a line is not as it was when it was checked, and with the errors of `link`.
 */
export async function linkLines(input: AsyncIterable<Uint8Array>, options: LinkOptions): Promise<Links> {
  const { attributes, plan, link, onLinked } = options
  const pending = new Set<Promise<void>>()
  const models = new Map<string, ModelUse>()
  let linked = 0
  let failed: { readonly error: unknown } | undefined

  async function tryLink(line: number, job: LinkedJob, use: ReturnType<typeof useOf>): Promise<void> {
    if (!(await link(job))) {
      addUse(models, use)
      return
    }
    plan.leaveOut(line)
    linked += 1
    onLinked(linked)
  }

  async function untilBelow(most: number): Promise<void> {
    while (pending.size > most) await Promise.race(pending)
    if (failed !== undefined) throw failed.error
  }

  try {
    for await (const { data, number } of plannedLines(input, options)) {
      const parsed = parseJob(data, attributes, sha256)
      if (!parsed.ok) continue
      // The body may be long, and is not held while the store is asked.
      const { body: _, ...job } = parsed.job
      const linking = tryLink(number, job, useOf(parsed.job))
        .catch((error: unknown) => {
          failed ??= { error }
        })
        .finally(() => pending.delete(linking))
      pending.add(linking)
      await untilBelow(MAX_PENDING - 1)
    }
    await untilBelow(0)
  } finally {
    await Promise.all(pending)
  }
  return { linked, models }
}
