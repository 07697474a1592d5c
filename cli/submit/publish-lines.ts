import type { BatchReader } from '../../shared/stores/batch-store.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { findAnswer, findEarlierBatches, linkAnswer } from '../../shared/stores/link-answer.ts'
import type { StoreReaders, Stores } from '../../shared/stores/open.ts'
import { submitBatch } from '../../shared/stores/submit-batch.ts'
import { number } from '../batches/describe-progress.ts'
import { printStatus } from '../print.ts'
import type { CheckedLines } from './check-lines.ts'
import { type LinkOptions, type Links, linkLines } from './link-lines.ts'
import { type SendOptions, sendLines } from './send-lines.ts'

/** Checked jobs that can be read again. */
export interface CheckedInput {
  bytes(): AsyncIterable<Uint8Array>
  /** The same for the same inputs. Undefined if they are no documents: nothing is linked then. */
  readonly source: string | undefined
  readonly checked: CheckedLines
}

export interface PublishOptions extends Pick<SendOptions, 'topic' | 'attributes' | 'signal'> {
  readonly stores: Pick<Stores, 'batches' | 'documents'> & Pick<SendOptions, 'queue'>
  readonly name: string
  readonly tokenLimit?: number | undefined
  /** Whether a batch that was submitted completely may be submitted again. */
  readonly again: boolean
  /** Whether jobs get the answers that earlier batches of the same source have. */
  readonly links: boolean
  /** How long the records of linked answers are kept. */
  readonly resultTtlMs: number
}

/** What was published, and what the jobs ask for that are not linked. */
export interface PublishedLines extends Links {
  readonly published: number
}

/**
 * Publishes the jobs of an input as one batch. Those that an earlier batch has answered get its answers, and are not published.
 *
 * Resolves also if `signal` was aborted. Rejects as submitBatch, linkLines and sendLines do.
 */
export async function publishLines(input: CheckedInput, options: PublishOptions): Promise<PublishedLines> {
  const { stores, topic, attributes, signal, links: isLinked, ...batch } = options
  const { checked, source } = input
  const { plan, jobs, fingerprint } = checked
  let links: Links = { linked: 0, models: checked.models }
  const { published } = await submitBatch(stores.batches, {
    ...{ ...batch, source, fingerprint, tokenLimit: batch.tokenLimit },
    ...{ howAgain: 'pass --resubmit', now: Date.now },
    async publish(open) {
      const beforeFirst = onlyOnce(open)
      if (isLinked && source !== undefined) links = await linkEarlier(input, { ...options, source, beforeFirst })
      const toSend = jobs - links.linked
      const onPublished = (count: number) => printStatus(`${number(count)} of ${number(toSend)} jobs published`)
      const how = { queue: stores.queue, topic, attributes, plan, beforeFirst, onPublished, signal }
      const published = await sendLines(input.bytes(), how)
      const linked = links.linked > 0 ? { linked: links.linked } : {}
      return { published, repeated: 0, ...linked, isWhole: published === toSend }
    },
  })
  return { published, ...links }
}

/** Which jobs would be linked, found without a write. The linked lines are taken out of the plan. */
export async function findLinks(
  input: CheckedInput & { readonly source: string },
  {
    documents,
    batches,
  }: { readonly documents: Pick<StoreReaders['documents'], 'read'>; readonly batches: BatchReader },
  { attributes, signal }: Pick<LinkOptions, 'attributes' | 'signal'>,
): Promise<Links> {
  const { source, checked } = input
  const earlier = await findEarlierBatches(batches, { source, except: undefined })
  if (earlier.length === 0) return { linked: 0, models: checked.models }
  return linkLines(input.bytes(), {
    ...{ attributes, plan: checked.plan, signal, onLinked: showLinked },
    link: async (job) => (await findAnswer(documents, earlier, job, { now: Date.now(), expireAt: 0 })) !== undefined,
  })
}

type LinkEarlierOptions = PublishOptions & { readonly source: string; readonly beforeFirst: () => Promise<void> }

async function linkEarlier({ bytes, checked }: CheckedInput, options: LinkEarlierOptions): Promise<Links> {
  const { stores, name, source, attributes, signal, resultTtlMs, beforeFirst } = options
  try {
    const earlier = await findEarlierBatches(stores.batches, { source, except: name })
    if (earlier.length === 0) return { linked: 0, models: checked.models }
    return await linkLines(bytes(), {
      ...{ attributes, plan: checked.plan, signal, onLinked: showLinked },
      async link(job) {
        const now = Date.now()
        const answer = await findAnswer(stores.documents, earlier, job, { now, expireAt: now + resultTtlMs })
        if (answer === undefined) return false
        await beforeFirst()
        return linkAnswer(stores.documents, answer)
      },
    })
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const next = 'No job was published. To go on, run the same command again: what was linked is not asked'
    throw new StoreError(error.code, `earlier answers cannot be linked: ${error.message}. ${next}`, error)
  }
}

function showLinked(count: number): void {
  printStatus(`${number(count)} answers linked from earlier batches`)
}

function onlyOnce(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => {
    done ??= work()
    return done
  }
}
