import { Command } from 'commander'
import { readIdentityConfig } from '../../shared/config/config.ts'
import type { Environment } from '../../shared/config/rules.ts'
import { addHelpEnding } from '../help.ts'
import { addOutputOptions } from '../output-options.ts'
import { readSettings } from '../read-settings.ts'

/** `promptbridge token inspect`: the claims of the worker's two tokens, never the tokens. */
export function inspectCommand(environment: Environment): Command {
  const command = new Command('inspect').description(
    'get both tokens of the worker and print their claims, never the tokens',
  )
  return addHelpEnding(addOutputOptions(command, 'print the claims as JSON; times are seconds since 1970'), {
    examples: [['promptbridge token inspect', 'print the claims of both tokens']],
    failure: 'there is no token',
  })
    .exitOverride()
    .action(async ({ json }: { json?: true }) => {
      const given = readSettings(environment)
      const config = readIdentityConfig(given.environment, given)
      // Loaded only now: other commands start faster without Google's and Microsoft's libraries.
      const { inspect } = await import('./run-inspect.ts')
      process.exitCode = await inspect(config, json === true)
    })
}
