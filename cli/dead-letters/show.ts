import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { jobKey } from '../../shared/job/job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
import { addHelpEnding } from '../help.ts'
import { plainText } from '../plain-text.ts'
import { print, printData, printJson } from '../print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from '../with-stores.ts'
import { describeLetter } from './describe-letters.ts'
import { MAX_RUNS } from './replay-message.ts'

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
    .option('--data', "write only the message's data to standard output, byte for byte")
  return addHelpEnding(addStoreOptions(command), {
    examples: [
      ['promptbridge dead-letters show doc-7 --batch nightly', 'show the latest dead letter of a job'],
      ['promptbridge dead-letters show doc-7 --data > message.json', 'write the data of its message to a file'],
    ],
    failure: 'there is no such dead letter',
  })
    .option('--json', 'print the letter as JSON')
    .exitOverride()
    .action((id: string, options: ShowOptions) => show(id, options, environment))
}

async function show(id: string, options: ShowOptions, environment: Environment): Promise<void> {
  const { batch = '', data, json } = options
  await withReaders(options, environment, async (stores) => {
    const letter = await find(stores, id, batch)
    if (letter === undefined)
      throw new Error(`there is no dead letter "${plainText(id)}"; \`dead-letters list\` prints the ids`)
    if (data) printData(await stores.deadLetters.readData(letter))
    else if (json) printJson(letter)
    else print(describeLetter(letter))
  })
}

/** The letter with this id, or the latest letter of the job with this id. */
async function find(
  { deadLetters, documents }: StoreReaders,
  id: string,
  batch: string,
): Promise<DeadLetter | undefined> {
  if (/^[\w-]+:\d+$/.test(id)) {
    const letter = await deadLetters.get(id)
    if (letter !== undefined) return letter
  }
  const key = jobKey(batch, id, sha256)
  const latestRun = (await documents.read(key))?.record.run ?? 1
  for (let run = latestRun; run > Math.max(0, latestRun - MAX_RUNS); run -= 1) {
    const letter = await deadLetters.get(`${key}:${run}`)
    if (letter !== undefined) return letter
  }
  return undefined
}
