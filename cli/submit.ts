import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Command } from 'commander'
import { parseJob } from '../shared/job/parse-job.ts'
import type { Stores } from '../shared/open-stores.ts'
import type { JobQueue, Message } from '../shared/queue/job-queue.ts'
import type { Environment } from '../shared/settings-problems.ts'
import { sha256 } from '../shared/sha256.ts'
import type { Batch } from '../shared/store/batch-store.ts'
import { tokenNumber } from './option-values.ts'
import { addStoreOptions, type StoreOptions, withStores } from './with-stores.ts'

/** How many messages are published together; the file is read no faster. */
const CHUNK = 500
const MAX_PROBLEMS_TOLD = 20

interface SubmitOptions extends StoreOptions {
  readonly batch?: string
  readonly topic?: string
  readonly tokenLimit?: number
  readonly again?: true
  readonly json?: true
}

/** What became of a file's lines. */
interface Submitted {
  readonly published: number
  /** Lines that repeat the id of an earlier one: each id is one job. */
  readonly repeated: number
  /** Lines that are no jobs. */
  readonly refused: number
}

/** `promptbridge submit FILE`: publishes each line of an OpenAI Batch input file as a job. */
export function submitCommand(environment: Environment): Command {
  const command = new Command('submit')
    .description('publish the lines of an OpenAI Batch input file as jobs')
    .argument('<file>', 'a JSONL file; - for standard input')
    .option('--batch <name>', 'the batch the jobs belong to')
    .option('--topic <name>', 'where to publish them; otherwise JOBS_TOPIC says it')
    .option(
      '--token-limit <n>',
      'ask no further job of the batch when its answers have taken so many tokens',
      tokenNumber,
    )
    .option('--again', 'send the file of a batch that was submitted before once more')
  return addStoreOptions(command)
    .option('--json', 'print the counts as JSON')
    .exitOverride()
    .action(async (file: string, options: SubmitOptions) => {
      const { batch, tokenLimit, again } = options
      if (!batch && (tokenLimit !== undefined || again)) {
        command.error(`error: ${again ? '--again' : '--token-limit'} is about a batch: name it with --batch`)
      }
      process.exitCode = await submit(file, options, environment)
    })
}

/** Resolves with the exit code: 1 when a line was no job; all others are published. */
async function submit(file: string, options: SubmitOptions, environment: Environment): Promise<number> {
  const { batch = '', topic, json } = options
  const submitted = await withStores('write', options, environment, ({ batches, queue }, jobsTopic) => {
    const publish = () => publishLines(readLines(file), queue, topic ?? jobsTopic, batch)
    return batch === '' ? publish() : inBatch(batches, batch, options, publish)
  })
  process.stdout.write(json ? `${JSON.stringify({ batch, ...submitted })}\n` : describe(submitted))
  return submitted.refused === 0 ? 0 : 1
}

/** Opens the batch, publishes its jobs and says how many there are. */
async function inBatch(
  batches: Stores['batches'],
  name: string,
  { again, tokenLimit }: SubmitOptions,
  publish: () => Promise<Submitted>,
): Promise<Submitted> {
  const before = await batches.read(name)
  const obstacle = before && findObstacle(before, again === true)
  if (obstacle !== undefined) throw new Error(`batch ${JSON.stringify(name)} ${obstacle}`)
  await batches.open(name, Date.now())
  if (tokenLimit !== undefined) await batches.limitTokens(name, tokenLimit, Date.now())
  const submitted = await publish()
  const total = submitted.published - submitted.repeated
  const totalBefore = before === undefined || before.status === 'open' ? undefined : before.total
  // Sealed anew with as many jobs, one that is completed would be told a second time.
  if (totalBefore === undefined || total > totalBefore) await batches.seal(name, total)
  return submitted
}

/** Why nothing is to be published in a batch. A submit that broke off left it open, and goes on. */
function findObstacle(batch: Batch, again: boolean): string | undefined {
  if (batch.cancelledAt !== undefined) {
    return 'is cancelled, and so would these jobs be when they come: use another name'
  }
  if (batch.status === 'open' || again) return undefined
  return (
    `was submitted before, with ${batch.total} jobs: one batch is one file. Use another name for other jobs, or pass ` +
    '--again to send the same file once more: what has a record is not asked again, and the total never shrinks'
  )
}

async function publishLines(
  lines: AsyncIterable<string>,
  queue: JobQueue,
  topic: string,
  batch: string,
): Promise<Submitted> {
  const attributes = batch === '' ? {} : { batch }
  const keys = new Set<string>()
  let chunk: Message[] = []
  let [number, published, refused] = [0, 0, 0]
  async function flush(): Promise<void> {
    await queue.publishAll(topic, chunk)
    published += chunk.length
    chunk = []
    if (process.stderr.isTTY) process.stderr.write(`\r${published} jobs published\x1b[K`)
  }

  for await (const line of lines) {
    number += 1
    if (line.trim() === '') continue
    const data = Buffer.from(line)
    const parsed = parseJob(data, attributes, sha256)
    if (parsed.ok) {
      keys.add(parsed.job.key)
      chunk.push({ data, attributes })
    } else {
      refused += 1
      if (refused <= MAX_PROBLEMS_TOLD) process.stderr.write(`line ${number}: ${parsed.problem}\n`)
    }
    if (chunk.length === CHUNK) await flush()
  }
  if (chunk.length > 0) await flush()
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  return { published, repeated: published - keys.size, refused }
}

async function* readLines(file: string): AsyncGenerator<string> {
  if (file === '-') {
    yield* createInterface({ input: process.stdin })
    return
  }
  await using handle = await open(file)
  yield* handle.readLines()
}

function describe({ published, repeated, refused }: Submitted): string {
  const parts = [`${published} jobs published`]
  if (repeated > 0) parts.push(`${repeated} of them repeat an id and are the same job`)
  if (refused > 0) parts.push(`${refused} lines refused`)
  return `${parts.join(', ')}\n`
}
