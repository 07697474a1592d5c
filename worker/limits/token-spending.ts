import type { Usage } from '../../shared/job/record.ts'

/** What a sweep counted, and when; nothing before the first. */
interface Counted {
  readonly tokens?: Usage | undefined
  readonly sweptAt?: number | undefined
}

/** The tokens that were spent, as far as this instance knows. */
export interface TokenSpending {
  /** Adds what an answer took that was settled here. */
  spend(usage: Usage): void
  /** Begins a read of what the sweep counted; the function that it gives takes what was found. */
  beginRead(): (found: Counted | undefined) => void
  total(): number
}

/**
 * Adds up what the sweep counted last and what this instance has settled since.
 *
 *     settled here    ───a───┬─────b─────┬───c───
 *     read                  old         new        a is in the new figure; b may be, and is kept; c is not
 *
 * A figure that is new was written at some time after the read before. So what lies between the two reads may count
 * twice until the next figure: by no clock but its own an instance could tell more. Counting takes a moment before that;
 * what was settled in it may be missing as long.
 */
export function createTokenSpending(): TokenSpending {
  let [counted, settledHere, settledBeforeRead, settledBeforeCount] = [0, 0, 0, 0]
  let sweptAt: number | undefined

  return {
    spend(usage) {
      settledHere += sumOf(usage)
    },
    beginRead() {
      const before = settledHere
      return (found) => {
        if (found?.tokens !== undefined && found.sweptAt !== sweptAt) {
          counted = sumOf(found.tokens)
          sweptAt = found.sweptAt
          settledBeforeCount = settledBeforeRead
        }
        settledBeforeRead = before
      }
    },
    total: () => counted + settledHere - settledBeforeCount,
  }
}

function sumOf({ promptTokens, completionTokens }: Usage): number {
  return promptTokens + completionTokens
}
