import { setTimeout as delay } from 'node:timers/promises'
import { countReplayed } from '../../shared/queues/sqlite/backlog.ts'
import { type BatchProgress, hasEnded } from '../../shared/stores/batch-progress.ts'
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
/** A message that no worker begins in this time waits for longer, such as for a token. */
const MAX_REPLAY_LOOKS = 40

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
  const { path, jobsTopic, deadLetterTopic, stores, signal, isQuiet } = options
  const line = createProgressLine(process.stderr)
  let last: BatchProgress | undefined
  const newFailures = watchTokens(stores.telemetry, Date.now())
  try {
    for await (const observed of followWithReplays(options)) {
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

/** Follows a batch, and once more if jobs were replayed: until a worker begins them, they count as failed. */
async function* followWithReplays({ path, jobsTopic, batch, stores, signal }: UntilEndedOptions) {
  for (let looks = 0; looks < MAX_REPLAY_LOOKS; looks += 1) {
    for await (const observed of followBatch(stores, batch, { everyMs: LOOK_EVERY_MS, now: Date.now, signal })) {
      if (!hasEnded(observed.progress)) looks = 0
      yield observed
    }
    if (!(await countReplayed(path, jobsTopic, batch))) return
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
