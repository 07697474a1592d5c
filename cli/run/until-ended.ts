import { setTimeout as delay } from 'node:timers/promises'
import type { BatchProgress } from '../../shared/stores/batch-progress.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import type { TelemetryReader, TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { followBatch } from '../batches/follow-batch.ts'
import { showOn } from '../batches/show-progress.ts'
import { plainText } from '../plain-text.ts'
import { printNote, printProblem } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'
import { untilLetters } from './until-letters.ts'

/** Of the latest token failures, at each look. */
const FAILURES = 10
const LOOK_EVERY_MS = 250

export interface UntilEndedOptions {
  /** The file of the queue. */
  readonly path: string
  readonly jobsTopic: string
  readonly deadLetterTopic: string
  readonly batch: string
  readonly stores: Pick<StoreReaders, 'batches' | 'documents' | 'telemetry' | 'deadLetters'>
  readonly signal: AbortSignal
  readonly isQuiet: boolean
}

/** Shows the progress until the batch has ended, and its dead letters are recorded. Rejects with the signal. */
export async function untilEnded(options: UntilEndedOptions): Promise<void> {
  const { path, jobsTopic, deadLetterTopic, batch, stores, signal, isQuiet } = options
  const line = createProgressLine(process.stderr)
  let last: BatchProgress | undefined
  const newFailures = watchTokens(stores.telemetry, Date.now())
  try {
    for await (const observed of followBatch(stores, batch, { everyMs: LOOK_EVERY_MS, now: Date.now, signal })) {
      last = observed.progress
      if (!isQuiet) showOn(line, observed)
      for (const { message, hint } of await newFailures()) {
        line.end()
        printProblem(`jobs wait: ${plainText(message)}. ${plainText(hint)}`)
      }
    }
  } finally {
    line.end()
  }
  const areRecorded = await untilLetters(last, {
    ...{ path, jobsTopic, deadLetterTopic, deadLetters: stores.deadLetters },
    wait: () => delay(LOOK_EVERY_MS, undefined, { signal }),
    onLate: () => printNote('waiting until the dead letters of failed jobs are recorded'),
  })
  if (!areRecorded) printProblem(`some dead letters are not recorded yet; the next worker on ${path} records them`)
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
