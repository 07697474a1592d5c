/** How a command ends. docs/cli.md has the same list. */
export const ExitCode = {
  done: 0,
  failed: 1,
  /** Misuse, or invalid input; nothing was sent. */
  misuse: 2,
  /** There is more to come. */
  incomplete: 3,
  timeout: 4,
  /** Everything has ended, and some jobs failed. */
  someFailed: 5,
  interrupted: 130,
} as const

/** An argument, a setting or an input that cannot be used. The command has sent and changed nothing. */
export class MisuseError extends Error {
  override readonly name = 'MisuseError'
}
