import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { Stores } from '../../shared/stores/open.ts'
import { addHelpEnding } from '../help.ts'
import { tokenNumber, wholeNumber } from '../option-values.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson, printProblem, printStatus } from '../print.ts'
import { addStoreOptions, type StoreOptions, withStores } from '../with-stores.ts'
import { addLetterOptions, filterOf, type LetterOptions, readLetters } from './letter-options.ts'
import { makeReplay, type ReplayChanges } from './replay-message.ts'

const MAX_PRINTED = 20

interface ReplayOptions extends StoreOptions, LetterOptions {
  readonly limit?: number
  readonly rate?: number
  readonly toModel?: string
  readonly maxOutputTokens?: number
  readonly tokenLimit?: number
  readonly again?: true
  readonly dryRun?: true
  readonly json?: true
}

interface Replayed {
  /** How many were published again, or would be in a dry run. */
  readonly replayed: number
  readonly skipped: Readonly<Record<string, number>>
}

/** `promptbridge dead-letters replay`: publishes the jobs again, each under its next run. */
export function replayCommand(environment: Environment): Command {
  const command = new Command('replay')
    .description('publish dead-lettered jobs again, except those that have succeeded since then')
    .argument('[ids...]', 'ids of letters as `list` prints them (default: all that match the options)')
  return addHelpEnding(addStoreOptions(addLetterOptions(command)), {
    examples: [
      ['promptbridge dead-letters replay --reason no_deployment --dry-run', 'print what would be replayed'],
      [
        'promptbridge dead-letters replay --batch nightly --reason budget --token-limit 5000000',
        'raise the token limit and replay',
      ],
      [
        'promptbridge dead-letters replay --batch nightly --to-model gpt-4o-mini --rate 10',
        'use another model, ten each second',
      ],
    ],
  })
    .option('--to-model <name>', 'use this model instead')
    .option('--max-output-tokens <n>', 'limit the answer to this many tokens', wholeNumber)
    .option('--token-limit <n>', 'set the token limit of the --batch to this number', tokenNumber)
    .option('--limit <n>', 'replay at most this many', wholeNumber)
    .option('--rate <n>', 'publish at most this many each second', wholeNumber)
    .option('--again', 'also replay those that were replayed before')
    .option('--dry-run', 'print what would be replayed, and publish nothing')
    .option('--json', 'print the counts as JSON')
    .exitOverride()
    .action((ids: readonly string[], options: ReplayOptions) => {
      if (options.tokenLimit !== undefined && !options.batch) {
        command.error('error: --token-limit needs --batch')
      }
      return replay(ids, options, environment)
    })
}

async function replay(ids: readonly string[], options: ReplayOptions, environment: Environment): Promise<void> {
  const { batch, reason, model, since, tokenLimit, dryRun, json } = options
  const isChosen = [batch, reason, model, since].some((choice) => choice !== undefined)
  if (ids.length === 0 && !isChosen) {
    throw new Error('name the letters to replay: by id, or with --batch, --reason, --model or --since')
  }
  const counts = await withStores('write', options, environment, async (stores, jobsTopic) => {
    // First, because a job that runs before the limit is raised would be dead-lettered again.
    if (batch && tokenLimit !== undefined && !dryRun) await stores.batches.limitTokens(batch, tokenLimit, Date.now())
    return replayAll(chosen(stores, ids, options), stores, jobsTopic, options)
  })
  if (json) printJson({ dryRun: dryRun === true, ...counts })
  else print(describe(counts, options))
}

async function* chosen(
  { deadLetters }: Stores,
  ids: readonly string[],
  options: ReplayOptions,
): AsyncGenerator<DeadLetter> {
  if (ids.length === 0) {
    const report = (count: number) => printProblem(`${count} in the store cannot be read`)
    yield* readLetters(deadLetters, filterOf(options, Date.now()), report)
    return
  }
  for (const id of ids) {
    const letter = await deadLetters.get(id)
    if (letter === undefined)
      throw new Error(`there is no dead letter "${plainText(id)}"; \`dead-letters list\` prints the ids`)
    yield letter
  }
}

async function replayAll(
  letters: AsyncIterable<DeadLetter>,
  stores: Stores,
  topic: string,
  options: ReplayOptions,
): Promise<Replayed> {
  const { limit = Number.POSITIVE_INFINITY, rate, again, dryRun } = options
  const changes: ReplayChanges = {
    ...(options.toModel !== undefined && { model: options.toModel }),
    ...(options.maxOutputTokens !== undefined && { maxOutputTokens: options.maxOutputTokens }),
  }
  const skipped: Record<string, number> = {}
  let [replayed, printed] = [0, 0]
  for await (const letter of letters) {
    if (replayed >= limit) break
    const data = await stores.deadLetters.readData(letter)
    const record = letter.key === undefined ? undefined : (await stores.documents.read(letter.key))?.record
    const seen = again ? { ...letter, replays: { n: 0 } } : letter
    const made = makeReplay(seen, data, record, changes)
    if (made.kind === 'skip') {
      skipped[made.why] = (skipped[made.why] ?? 0) + 1
      printed += 1
      if (printed <= MAX_PRINTED) print(`${plainText(`${letter.id} is skipped: ${made.why}`)}\n`, process.stderr)
      continue
    }
    replayed += 1
    if (dryRun) continue
    await stores.queue.publish(topic, made.message)
    // Last: a letter that is published twice runs once, but a letter that is only marked would never run.
    await stores.deadLetters.markReplayed(letter.id, Date.now())
    printStatus(`${replayed} replayed`)
    if (rate !== undefined) await delay(1_000 / rate)
  }
  printStatus('')
  return { replayed, skipped }
}

function describe({ replayed, skipped }: Replayed, { dryRun }: ReplayOptions): string {
  const left = Object.entries(skipped).map(([why, count]) => `${String(count).padStart(6)} skipped: ${why}\n`)
  const would = dryRun ? ' would be replayed; nothing was published' : ' replayed'
  return `${replayed}${would}\n${left
    .map(plainText)
    .map((line) => `${line.trimEnd()}\n`)
    .join('')}`
}
