/** Every problem of the settings at once, a line each; no line holds a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  /** `advice`: the last line of the message. */
  constructor(problems: readonly string[], advice?: string) {
    const lines = problems.map((problem) => `  - ${problem}`)
    const ending = advice === undefined ? [] : [advice]
    super([`${problems.length} setting(s) need attention:`, ...lines, ...ending].join('\n'))
    this.problems = problems
  }
}
