import type { Usage } from '../../shared/job/record.ts'

/** The count of a sweep and its time; empty before the first sweep. */
interface Counted {
  readonly tokens?: Usage | undefined
  readonly sweptAt?: number | undefined
}

/** The tokens that were spent, as far as this instance knows. */
export interface TokenSpending {
  /** Adds the tokens of an answer that was settled here. */
  spend(usage: Usage): void
  /** Begins a read of the sweep's count. Call the returned function with the result. */
  beginRead(): (found: Counted | undefined) => void
  total(): number
}

/**
 * Adds the tokens that this instance has settled since the last count of the sweep to that count.
 *
 *     settled here    ───a───┬─────b─────┬───c───
 *     read                  old         new        a is in the new figure; b may be, and is kept; c is not
 *
 * A new figure was written at some time between the two reads. So tokens between the reads may count twice until the next
 * figure: clocks of two machines cannot be compared. Tokens that are settled while the sweep counts may be missing until then.
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
