import { ConfigError } from '../../shared/config/config-error.ts'

/** The problems that reading settings reports; none where it succeeds. */
export function configProblems(read: () => unknown): readonly string[] {
  try {
    read()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
