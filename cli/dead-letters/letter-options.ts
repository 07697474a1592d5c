import type { Command } from 'commander'
import { defined } from '../../shared/lib/defined.ts'
import type { DeadLetter, DeadLetterFilter, DeadLetterReader } from '../../shared/stores/dead-letter-store.ts'
import { type Duration, duration } from '../option-values.ts'

export interface LetterOptions {
  readonly batch?: string
  readonly reason?: string
  readonly model?: string
  readonly since?: Duration
}

const PAGE = 300

/** The options by which dead letters are chosen. */
export function addLetterOptions(command: Command): Command {
  return command
    .option('--batch <name>', 'only those of this batch')
    .option('--reason <reason>', 'only those with this reason: rejected, no_deployment, max_attempts, …')
    .option('--model <name>', 'only those that name this model')
    .option('--since <duration>', 'only those of the last 30m, 24h, 7d', duration)
}

/** `now`: epoch milliseconds. */
export function filterOf({ batch, reason, model, since }: LetterOptions, now: number): DeadLetterFilter {
  return {
    ...defined({ batch, reason, model }),
    ...(since !== undefined && { since: now - since.ms }),
  }
}

/** All that match, page by page; `onUnreadable` is called with the number of malformed letters of a page. */
export async function* readLetters(
  store: DeadLetterReader,
  filter: DeadLetterFilter,
  onUnreadable: (count: number) => void,
): AsyncGenerator<DeadLetter> {
  for (let after: string | undefined; ; ) {
    const { found, unreadable } = await store.list(filter, PAGE, after)
    if (unreadable > 0) onUnreadable(unreadable)
    yield* found
    after = found.at(-1)?.id
    if (found.length < PAGE) return
  }
}
