import { Command, Option } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { statusOf } from '../../shared/stores/dead-letter-store.ts'
import { addHelpEnding } from '../help.ts'
import { addOutputOptions } from '../output-options.ts'
import { print, printData, printJson } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { describeLetter } from './describe-letters.ts'
import { findLetter } from './find-letter.ts'

interface ShowOptions extends StoreOptions {
  readonly batch?: string
  readonly data?: true
  readonly json?: true
}

/** `promptbridge dead-letters show ID`: why one was dead-lettered, and its data as received. */
export function showCommand(environment: Environment): Command {
  const command = new Command('show')
    .description('show one dead letter')
    .argument('<id>', 'the id of the job, or of the letter as `list` prints it')
    .option('--batch <name>', 'the batch of the job (default: the batch without a name)')
    .addOption(
      new Option('--data', "write only the message's data to standard output, byte for byte").conflicts('json'),
    )
  return addOutputOptions(
    addHelpEnding(addStoreOptions(command), {
      examples: [
        ['promptbridge dead-letters show doc-7 --batch nightly', 'show the latest dead letter of a job'],
        ['promptbridge dead-letters show doc-7 --data > message.json', 'write the data of its message to a file'],
      ],
      failure: 'there is no such dead letter',
    }),
    'print the letter as JSON',
  )
    .exitOverride()
    .action((id: string, options: ShowOptions) => show(id, options, environment))
}

async function show(id: string, options: ShowOptions, environment: Environment): Promise<void> {
  const { batch = '', data, json } = options
  await withReaders(options, environment, async (stores) => {
    const letter = await findLetter(stores, id, batch)
    if (data) printData(await stores.deadLetters.readData(letter))
    else if (json) printJson({ ...letter, status: statusOf(letter) })
    else print(describeLetter(letter))
  })
}
