/**
 * Why there is no token.
 *
 * - passing: it ends by itself
 * - spreading: a setting that was just made may take minutes to reach all of Entra or Azure; later it is configuration
 * - stale: the Google ID token is too old, or signed with a key that is gone; a fresh one may be accepted
 * - configuration: a person has to fix a setting
 */
export type FailureNature = 'passing' | 'spreading' | 'stale' | 'configuration'

export interface Diagnosis {
  readonly nature: FailureNature
  /** What to do about it, in plain words with the very values to set; one paragraph, and no secret in it. */
  readonly hint: string
}

export const configuration = (hint: string): Diagnosis => ({ nature: 'configuration', hint })
export const passing = (hint: string): Diagnosis => ({ nature: 'passing', hint })
