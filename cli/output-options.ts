import type { Command } from 'commander'
import { keepNotesOff } from './print.ts'

/** The options `--json` and `--quiet`. With --json, standard output holds JSON only. `json`: what it then prints. */
export function addOutputOptions(command: Command, json: string): Command {
  return command
    .option('--json', json)
    .option('--quiet', 'print no progress and no notes')
    .hook('preAction', (_, action) => keepNotesOff(action.opts()['quiet'] === true))
}
