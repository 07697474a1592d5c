import { Command, CommanderError } from 'commander'
import { ConfigError } from '../shared/config.ts'
import { cancelCommand } from './cancel.ts'
import { deadLettersCommand } from './dead-letters/dead-letters-command.ts'
import { demoCommand } from './demo/demo-command.ts'
import { doctorCommand } from './doctor/doctor-command.ts'
import { pauseCommand, resumeCommand } from './pause.ts'
import { resultsCommand } from './results.ts'
import { showCommand } from './show.ts'
import { submitCommand } from './submit.ts'
import { tokenCommand } from './token/token-command.ts'

const MISUSE = 2

const program = new Command('promptbridge')
  .description('Runs large numbers of prompts on Azure OpenAI from Google Cloud, without an API key.')
  .exitOverride()
  .configureHelp({ showGlobalOptions: true })
  .addCommand(demoCommand())
  .addCommand(submitCommand(process.env))
  .addCommand(showCommand(process.env))
  .addCommand(resultsCommand(process.env))
  .addCommand(deadLettersCommand(process.env))
  .addCommand(pauseCommand(process.env))
  .addCommand(resumeCommand(process.env))
  .addCommand(cancelCommand(process.env))
  .addCommand(tokenCommand(process.env))
  .addCommand(doctorCommand(process.env))

endWithTheReader(process.stdout)
endWithTheReader(process.stderr)
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
}

/** 0 for help that was asked for, 2 for misuse, 1 for everything that failed. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSE
  process.stderr.write(`promptbridge: ${error instanceof Error ? error.message : String(error)}\n`)
  return error instanceof ConfigError ? MISUSE : 1
}

/** Whoever read this stream has gone, as in `| head`: the work ends as it does on SIGTERM, and in order. */
function endWithTheReader(stream: NodeJS.WriteStream): void {
  stream.once('error', () => {
    stream.on('error', () => undefined)
    process.kill(process.pid, 'SIGTERM')
  })
}
