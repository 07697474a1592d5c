import { setTimeout as delay } from 'node:timers/promises'
import { readBacklog } from '../../shared/queues/sqlite/backlog.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import type { TelemetryReader, TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { followBatch } from '../batches/follow-batch.ts'
import { showOn } from '../batches/show-progress.ts'
import { plainText } from '../plain-text.ts'
import { printProblem } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'

/** Of the latest token failures, at each look. */
const FAILURES = 10
const LOOK_EVERY_MS = 250
/** How often it looks whether the dead letters of the last jobs are recorded. */
const LETTER_LOOKS = 40

export interface UntilEndedOptions {
  /** The file of the queue. */
  readonly path: string
  readonly deadLetterTopic: string
  readonly batch: string
  readonly stores: Pick<StoreReaders, 'batches' | 'documents' | 'telemetry'>
  readonly signal: AbortSignal
  readonly isQuiet: boolean
}

/** Shows the progress until the batch has ended, and its dead letters are recorded. Rejects with the signal. */
export async function untilEnded(options: UntilEndedOptions): Promise<void> {
  const { path, deadLetterTopic, batch, stores, signal, isQuiet } = options
  const line = createProgressLine(process.stderr)
  const newFailures = watchTokens(stores.telemetry, Date.now())
  try {
    for await (const observed of followBatch(stores, batch, { everyMs: LOOK_EVERY_MS, now: Date.now, signal })) {
      if (!isQuiet) showOn(line, observed)
      for (const { message, hint } of await newFailures()) {
        line.end()
        printProblem(`jobs wait: ${plainText(message)}. ${plainText(hint)}`)
      }
    }
  } finally {
    line.end()
  }
  for (let look = 0; look < LETTER_LOOKS; look += 1) {
    if (((await readBacklog(path, deadLetterTopic))?.messages ?? 0) === 0) return
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

/** Finds what keeps the worker from a token that Azure accepts, each cause once: the jobs wait, and nothing else would say why. */
function watchTokens(telemetry: Pick<TelemetryReader, 'tokenFailures'>, since: number) {
  const reported = new Set<string>()
  return async (): Promise<readonly TokenFailure[]> => {
    const { found } = await telemetry.tokenFailures(since, FAILURES)
    const fresh = found.filter(({ resolvedAt, message }) => resolvedAt === undefined && !reported.has(message))
    for (const { message } of fresh) reported.add(message)
    return fresh
  }
}
