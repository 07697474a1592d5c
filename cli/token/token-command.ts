import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { failuresCommand } from './failures.ts'
import { inspectCommand } from './inspect.ts'

/** `promptbridge token`: the commands about the federated token. */
export function tokenCommand(environment: Environment): Command {
  return new Command('token')
    .exitOverride()
    .addCommand(inspectCommand(environment))
    .addCommand(failuresCommand(environment))
}
