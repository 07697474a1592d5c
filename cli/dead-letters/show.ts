import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { jobKey } from '../../shared/job/job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { StoreReaders } from '../../shared/stores/open.ts'
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

/** `promptbridge dead-letters show ID`: why one was dead-lettered, and its data as it came. */
export function showCommand(environment: Environment): Command {
  const command = new Command('show')
    .description('show one dead letter')
    .argument('<id>', 'the id of the job, or of the letter as `list` prints it')
    .option('--batch <name>', 'the batch the job was submitted in; without it, the batch that has no name')
    .option('--data', "write the message's data to standard output, byte by byte, and nothing else")
  return addStoreOptions(command)
    .option('--json', 'print the letter as JSON')
    .exitOverride()
    .action((id: string, options: ShowOptions) => show(id, options, environment))
}

async function show(id: string, options: ShowOptions, environment: Environment): Promise<void> {
  const { batch = '', data, json } = options
  await withReaders(options, environment, async (stores) => {
    const letter = await find(stores, id, batch)
    if (letter === undefined)
      throw new Error(`there is no dead letter "${plainText(id)}"; \`dead-letters list\` has their ids`)
    if (data) printData(await stores.deadLetters.readData(letter))
    else if (json) printJson(letter)
    else print(describeLetter(letter))
  })
}

/** By its own id, or the latest of a job. */
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
