import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { ConfigError } from '../shared/config/config.ts'
import type { Environment } from '../shared/config/rules.ts'
import { cancelCommand } from './cancel.ts'
import { completionCommand } from './completion.ts'
import { deadLettersCommand } from './dead-letters/dead-letters-command.ts'
import { demoCommand } from './demo/demo-command.ts'
import { doctorCommand } from './doctor/doctor-command.ts'
import { ExitCode, MisuseError } from './exit-codes.ts'
import { initCommand } from './init.ts'
import { pauseCommand, resumeCommand } from './pause.ts'
import { print, printProblem } from './print.ts'
import { resultsCommand } from './results.ts'
import { showCommand } from './show.ts'
import { submitCommand } from './submit.ts'
import { tokenCommand } from './token/token-command.ts'

/** Runs a command with these arguments, and sets the exit code of the process. */
export async function runCommandLine(args: readonly string[], environment: Environment): Promise<void> {
  try {
    await createProgram(environment).parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

/** All commands. Exported for the page that lists them. */
export function createProgram(environment: Environment): Command {
  const program = new Command('promptbridge')
    .description('Runs large numbers of prompts on Azure OpenAI from Google Cloud, without an API key.')
    .version(manifest.version)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addCommand(demoCommand())
    .addCommand(submitCommand(environment))
    .addCommand(showCommand(environment))
    .addCommand(resultsCommand(environment))
    .addCommand(deadLettersCommand(environment))
    .addCommand(pauseCommand(environment))
    .addCommand(resumeCommand(environment))
    .addCommand(cancelCommand(environment))
    .addCommand(tokenCommand(environment))
    .addCommand(doctorCommand(environment))
    .addCommand(initCommand())
    .addCommand(completionCommand())
  return withPrint(program)
}

/** Help and misuse are printed with `print`, because an argument may contain any text. */
function withPrint(command: Command): Command {
  for (const inner of command.commands) withPrint(inner)
  return command.configureOutput({ writeOut: (text) => print(text), writeErr: (text) => print(text, process.stderr) })
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.misuse
  printProblem(error instanceof Error ? error.message : String(error))
  return error instanceof ConfigError || error instanceof MisuseError ? ExitCode.misuse : ExitCode.failed
}
