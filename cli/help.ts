import type { Command } from 'commander'
import { ExitCode } from './exit-codes.ts'

export interface HelpEnding {
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [line: string, does: string])[]
  /** When the exit code is 1, beside the failure of the whole command. */
  readonly failure?: string
  /** Whether wrong settings are misuse; the doctor reports them as a failed check, and the demo has its own. */
  readonly needsSettings?: boolean
  /** Further exit codes that it has. */
  readonly codes?: readonly (keyof typeof FURTHER)[]
  /** Whether it ends in order when it is interrupted. */
  readonly isInterruptible?: true
}

const FURTHER = {
  incomplete: [ExitCode.incomplete, 'there is more to come'],
  timeout: [ExitCode.timeout, 'the time is over before the end'],
  someFailed: [ExitCode.someFailed, 'complete, and some jobs failed'],
} as const

/** Ends the help of a command with examples and its exit codes. docs/cli.md has them from here. */
export function addHelpEnding(
  command: Command,
  { examples, failure, needsSettings = true, codes: further = [], isInterruptible }: HelpEnding,
): Command {
  const width = Math.max(...examples.map(([line]) => line.length))
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}  # ${does}`)
  const codes = [
    '  0    success',
    `  1    ${failure === undefined ? '' : `${failure}, or `}the command failed`,
    `  2    an argument${needsSettings ? ', an option or a setting' : ' or an option'} is missing or wrong`,
    ...further.map((name) => `  ${FURTHER[name][0]}    ${FURTHER[name][1]}`),
    ...(isInterruptible ? ['  130  interrupted'] : []),
  ]
  return command.addHelpText('after', ['', 'Examples:', ...lines, '', 'Exit codes:', ...codes].join('\n'))
}
