import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { listCommand } from './list.ts'
import { replayCommand } from './replay.ts'
import { showCommand } from './show.ts'

/** `promptbridge dead-letters`: what no worker takes any further, and the way back. */
export function deadLettersCommand(environment: Environment): Command {
  return new Command('dead-letters')
    .description('list, show and replay the jobs that were dead-lettered')
    .exitOverride()
    .addCommand(listCommand(environment))
    .addCommand(showCommand(environment))
    .addCommand(replayCommand(environment))
}
