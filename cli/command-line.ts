import { Command, CommanderError } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { ConfigError } from '../shared/config/config-error.ts'
import type { Environment } from '../shared/config/rules.ts'
import { commands, type ListedCommand } from './commands.ts'
import { ExitCode, MisuseError } from './exit-codes.ts'
import { print, printProblem } from './print.ts'

/** Runs a command with these arguments, and sets the exit code of the process. */
export async function runCommandLine(args: readonly string[], environment: Environment): Promise<void> {
  try {
    const program = await programFor(args, environment)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = exitCodeOf(error)
  }
}

/** The program with all its commands, which are loaded. */
export async function loadProgram(environment: Environment): Promise<Command> {
  return createProgram(await Promise.all(commands.map((command) => loadCommand(command, environment))))
}

/** The program with the command that these arguments name. Of the others it has the line of the help. */
async function programFor(args: readonly string[], environment: Environment): Promise<Command> {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'))
  const chosen = first === 'help' ? second : first
  const needsOthers = commands.some(({ name, needsOthers }) => name === chosen && needsOthers)
  const known = commands.map((command) =>
    command.name === chosen || needsOthers ? loadCommand(command, environment) : nameOnly(command),
  )
  return createProgram(await Promise.all(known))
}

async function loadCommand(listed: ListedCommand, environment: Environment): Promise<Command> {
  return (await listed.load(environment)).name(listed.name).description(listed.does)
}

function nameOnly({ name, does }: ListedCommand): Command {
  return new Command(name).description(does)
}

function createProgram(known: readonly Command[]): Command {
  const program = new Command('promptbridge')
    .description('Runs large numbers of prompts on Azure OpenAI from Google Cloud, without an API key.')
    .version(manifest.version)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
  for (const command of known) program.addCommand(command)
  return withPrint(program)
}

/** Help and misuse are printed with `print`, because an argument may contain any text. */
function withPrint(command: Command): Command {
  for (const inner of command.commands) withPrint(inner)
  return command.configureOutput({ writeOut: (text) => print(text), writeErr: (text) => print(text, process.stderr) })
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.misuse
  if (error instanceof Error && error.name === 'AbortError') {
    printProblem('interrupted')
    return ExitCode.interrupted
  }
  printProblem(error instanceof Error ? error.message : String(error))
  return error instanceof ConfigError || error instanceof MisuseError ? ExitCode.misuse : ExitCode.failed
}
