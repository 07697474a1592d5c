import { open } from 'node:fs/promises'
import { Command } from 'commander'
import type { Environment } from '../shared/config/rules.ts'
import { submitBatch } from '../shared/stores/submit-batch.ts'
import { addHelpEnding } from './help.ts'
import { tokenNumber } from './option-values.ts'
import { plainText } from './plain-text.ts'
import { print, printJson, printStatus } from './print.ts'
import { publishLines, type Submitted } from './publish-lines.ts'
import { addStoreOptions, type StoreOptions, withStores } from './with-stores.ts'

const MAX_PROBLEMS_PRINTED = 20

interface SubmitOptions extends StoreOptions {
  readonly batch?: string
  readonly topic?: string
  readonly tokenLimit?: number
  readonly again?: true
  readonly json?: true
}

/** `promptbridge submit FILE`: publishes each line of an OpenAI Batch input file as a job. */
export function submitCommand(environment: Environment): Command {
  const command = new Command('submit')
    .argument('<file>', 'a JSONL file; - for standard input')
    .option('--batch <name>', 'the batch that the jobs belong to')
    .option('--topic <name>', 'the topic to publish them to (default: JOBS_TOPIC)')
    .option(
      '--token-limit <n>',
      'start no more jobs of the batch after its answers have used this many tokens',
      tokenNumber,
    )
    .option('--again', 'submit the same file of a batch again')
  return addHelpEnding(addStoreOptions(command), {
    examples: [
      ['promptbridge submit jobs.jsonl --batch nightly', 'publish the jobs of a file as one batch'],
      ['promptbridge submit - --batch nightly < jobs.jsonl', 'read standard input'],
      ['promptbridge submit jobs.jsonl --batch nightly --token-limit 5000000', 'limit the tokens of the batch'],
      [
        'promptbridge submit jobs.jsonl --batch nightly --again',
        'publish the same file again; jobs with a record do not run again',
      ],
    ],
    failure: 'a line was refused (all other lines are published)',
  })
    .option('--json', 'print the counts as JSON')
    .exitOverride()
    .action(async (file: string, options: SubmitOptions) => {
      const { batch, tokenLimit, again } = options
      if (!batch && (tokenLimit !== undefined || again)) {
        command.error(`error: ${again ? '--again' : '--token-limit'} needs --batch`)
      }
      process.exitCode = await submit(file, options, environment)
    })
}

/** Resolves with the exit code: 1 when a line is not a job. All other lines are published. */
async function submit(file: string, options: SubmitOptions, environment: Environment): Promise<number> {
  const { batch = '', topic, tokenLimit, again = false, json } = options
  await using input = await openInput(file)
  const submitted = await withStores('write', options, environment, async ({ batches, queue }, { jobsTopic }) => {
    const reports = createReports()
    const publish = (beforeFirst: () => Promise<void>) =>
      publishLines(input.bytes, { queue, topic: topic ?? jobsTopic, batch, beforeFirst, ...reports })
    const done =
      batch === ''
        ? await publish(async () => undefined)
        : await submitBatch(batches, {
            name: batch,
            tokenLimit,
            again,
            howAgain: 'pass --again',
            now: Date.now,
            publish,
          })
    reports.end()
    return done
  })
  if (json) printJson({ batch, ...submitted })
  else print(describe(submitted))
  return submitted.refused === 0 ? 0 : 1
}

/** The bytes to submit. Opens the file before anything else, so that a wrong path has no effect. */
async function openInput(file: string): Promise<AsyncDisposable & { readonly bytes: AsyncIterable<Uint8Array> }> {
  if (file === '-') return { bytes: process.stdin, [Symbol.asyncDispose]: async () => undefined }
  const handle = await open(file)
  if ((await handle.stat()).isDirectory()) {
    await handle.close()
    throw new Error(`${file} is a directory`)
  }
  return { bytes: handle.createReadStream({ autoClose: false }), [Symbol.asyncDispose]: () => handle.close() }
}

function createReports() {
  let refused = 0
  return {
    onPublished: (count: number) => printStatus(`${count} jobs published`),
    onRefused(line: number, problem: string) {
      refused += 1
      if (refused <= MAX_PROBLEMS_PRINTED) print(`line ${line}: ${plainText(problem)}\n`, process.stderr)
    },
    end: () => printStatus(''),
  }
}

function describe({ published, repeated, refused }: Submitted): string {
  const parts = [`${published} jobs published`]
  if (repeated > 0) parts.push(`${repeated} of them repeat an id and are the same job`)
  if (refused > 0) parts.push(`${refused} lines refused`)
  return `${parts.join(', ')}\n`
}
