import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { discardCommand } from './discard.ts'
import { editCommand } from './edit.ts'
import { listCommand } from './list.ts'
import { replayCommand } from './replay.ts'
import { showCommand } from './show.ts'

/** `promptbridge dead-letters`: lists, shows, edits, replays and discards dead letters. */
export function deadLettersCommand(environment: Environment): Command {
  return new Command('dead-letters')
    .exitOverride()
    .addCommand(listCommand(environment))
    .addCommand(showCommand(environment))
    .addCommand(editCommand(environment))
    .addCommand(replayCommand(environment))
    .addCommand(discardCommand(environment))
}
