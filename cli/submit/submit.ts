import type { Environment } from '../../shared/config/rules.ts'
import type { Message } from '../../shared/queues/job-queue.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { number } from '../batches/describe-progress.ts'
import { observeBatch } from '../batches/observe-batch.ts'
import { showOn } from '../batches/show-progress.ts'
import { exitCodeOf } from '../batches/wait-command.ts'
import type { DocumentJobs, DocumentProblem } from '../documents/open-documents.ts'
import { type DocumentOptions, openInputs } from '../documents/open-inputs.ts'
import { ExitCode, MisuseError } from '../exit-codes.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { keepMemorySmall } from '../keep-memory-small.ts'
import { plainText } from '../plain-text.ts'
import { pricesIn } from '../prices.ts'
import { print, printJson, printNote, printProblem, printStatus } from '../print.ts'
import { createProgressLine } from '../progress-line.ts'
import { readSettings } from '../read-settings.ts'
import { type StoreOptions, withReadersIfThere, withStores } from '../with-stores.ts'
import { batchNameFor } from './batch-name.ts'
import { type CheckedLines, checkLines } from './check-lines.ts'
import { describeEstimate, describeExample, documentsAre, estimate, linesAre } from './describe-submit.ts'
import type { Links } from './link-lines.ts'
import { type CheckedInput, findLinks, type PublishedLines, publishLines } from './publish-lines.ts'
import { findServed } from './served-models.ts'
import { warningsOf } from './warnings.ts'

export interface SubmitOptions extends StoreOptions, DocumentOptions {
  readonly batch?: string
  readonly check?: true
  readonly dryRun?: true
  readonly skipInvalid?: true
  readonly strict?: true
  readonly resubmit?: true
  readonly wait?: true
  /** ISO 8601. */
  readonly deadline?: string
  readonly priority?: string
  readonly topic?: string
  readonly tokenLimit?: number
  readonly json?: true
}

/** A line that is no job, or a document that none can be made of. */
type Problem = { readonly line: number; readonly problem: string } | DocumentProblem

const MAX_PROBLEMS_PRINTED = 20
const MAX_PROBLEMS_KEPT = 10_000

/** Checks an input, then publishes it. Resolves with the exit code. Rejects with MisuseError if nothing may be sent. */
export async function submit(
  inputs: readonly string[],
  options: SubmitOptions,
  environment: Environment,
): Promise<number> {
  keepMemorySmall()
  using interrupt = listenForInterrupt()
  const { signal } = interrupt
  let hasBegun = false
  try {
    await using input = await openInputs(inputs, options, {
      environment: readSettings(environment).environment,
      signal,
    })
    return await submitInput(input, options, environment, signal, () => {
      hasBegun = true
    })
  } catch (error) {
    if (!signal.aborted) throw error
    const goOn = 'To go on, run the same command again: what was sent is not sent twice'
    printProblem(hasBegun ? `interrupted. ${goOn}` : 'interrupted: nothing was sent')
    return ExitCode.interrupted
  } finally {
    printStatus('')
  }
}

async function submitInput(
  input: DocumentJobs,
  options: SubmitOptions,
  environment: Environment,
  signal: AbortSignal,
  onSend: () => void,
): Promise<number> {
  const attributes = attributesOf(options)
  const problems: Problem[] = [...input.problems]
  const checked = await checkLines(input.bytes(), {
    attributes,
    onChecked: (lines) => printStatus(`${number(lines)} lines checked`),
    onRefused: (line, problem) => problems.length < MAX_PROBLEMS_KEPT && problems.push({ line, problem }),
    signal,
  })
  const { jobs, repeated } = checked
  const refused = checked.refused + input.refused
  const { bytes, source } = input
  const checkedInput = { bytes, source, checked }
  const estimateOf = (uses: Pick<CheckedLines, 'models'>) => estimate(uses, pricesIn(environment), Date.now())
  const report = { repeated, refused, problems }
  const { skipInvalid, json, dryRun } = options
  const check = options.check || dryRun
  const areNoJobs = input.refused > 0 ? documentsAre(refused) : linesAre(refused)
  printProblems(problems, check ? MAX_PROBLEMS_KEPT : MAX_PROBLEMS_PRINTED, refused)
  if (check) {
    const { example } = input
    const links = await expectLinks(checkedInput, options, environment, { attributes, signal })
    const estimated = estimateOf(links)
    const { linked } = links
    if (json) printJson({ jobs, linked, ...report, estimate: estimated, ...(dryRun && { example }) })
    else
      print(`${describeCounts({ ...checked, linked }, refused === 0 ? '' : areNoJobs)}\n${describeEstimate(estimated)}`)
    if (!json && dryRun && example !== undefined) print(`\n${describeExample(example)}`)
    return refused === 0 && jobs > 0 ? ExitCode.done : ExitCode.misuse
  }
  if (refused > 0 && !skipInvalid) {
    if (json) printJson({ published: 0, ...report, estimate: estimateOf(checked) })
    throw new MisuseError(`nothing was sent, because ${areNoJobs}; --skip-invalid sends the other ${number(jobs)} jobs`)
  }
  if (jobs === 0) throw new MisuseError(`there is no job in ${input.name}`)

  const batch = options.batch ?? batchNameFor(input.name, checked.fingerprint)
  onSend()
  const { published, linked, models, warnings } = await send(
    checkedInput,
    { ...options, batch },
    { attributes: { ...attributes, batch }, signal, environment },
  )
  const estimated = estimateOf({ models })
  if (json) printJson({ batch, published, linked, ...report, estimate: estimated, warnings })
  if (signal.aborted) {
    printProblem(
      `interrupted: ${number(published)} of ${number(jobs - linked)} jobs are published${linkedToo(linked)}. To go on, run the same command again`,
    )
    return ExitCode.interrupted
  }
  if (!json)
    print(
      `${number(published)} jobs published${linkedToo(linked)}${repeatedToo(repeated)}\nbatch ${plainText(batch)}\n${describeEstimate(estimated)}`,
    )
  return options.wait ? waitFor(batch, options, environment) : ExitCode.done
}

interface Sending {
  readonly attributes: Message['attributes']
  readonly signal: AbortSignal
  readonly environment: Environment
}

async function send(
  input: CheckedInput,
  options: SubmitOptions & { readonly batch: string },
  { attributes, signal, environment }: Sending,
): Promise<PublishedLines & { readonly warnings: readonly string[] }> {
  const { batch: name, topic, tokenLimit, resubmit = false, strict } = options
  return withStores('write', options, environment, async (stores, { jobsTopic, resultTtlMs }) => {
    const served = await findServed(readSettings(environment).environment, stores.telemetry, Date.now())
    const warnings = warningsOf(input.checked.models, served).map(plainText)
    if (strict && warnings.length > 0)
      throw new MisuseError(`nothing was sent:\n${warnings.map((line) => `  ${line}`).join('\n')}`)
    for (const warning of warnings) printNote(`warning: ${warning}`)
    const published = await publishLines(input, {
      ...{ stores, name, topic: topic ?? jobsTopic, attributes, tokenLimit, resultTtlMs, signal },
      ...{ again: resubmit, links: !resubmit },
    })
    return { ...published, warnings }
  })
}

/** Which jobs would be linked. Without a store none, and none with a store that is away. */
async function expectLinks(
  { source, ...input }: CheckedInput,
  options: SubmitOptions,
  environment: Environment,
  how: Omit<Sending, 'environment'>,
): Promise<Links> {
  const none = { linked: 0, models: input.checked.models }
  if (source === undefined || options.resubmit) return none
  try {
    const links = await withReadersIfThere(options, environment, (stores) =>
      findLinks({ ...input, source }, stores, how),
    )
    return links ?? none
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    printNote(`the answers of earlier batches are not counted: ${error.message}`)
    return none
  }
}

async function waitFor(batch: string, options: SubmitOptions, environment: Environment): Promise<number> {
  const line = createProgressLine(process.stderr)
  const observation = await observeBatch(
    batch,
    { ...options, onObserved: (observed) => showOn(line, observed) },
    environment,
  )
  line.end()
  return exitCodeOf(observation)
}

function attributesOf({ batch, deadline, priority }: SubmitOptions): Message['attributes'] {
  return {
    ...(batch !== undefined && { batch }),
    ...(deadline !== undefined && { 'pb-deadline': deadline }),
    ...(priority !== undefined && { 'pb-priority': priority }),
  }
}

function printProblems(problems: readonly Problem[], most: number, refused: number): void {
  for (const each of problems.slice(0, most)) {
    const place = 'line' in each ? `line ${each.line}` : plainText(each.document)
    print(`${place}: ${plainText(each.problem)}\n`, process.stderr)
  }
  const more = refused - Math.min(most, problems.length)
  if (more > 0) print(`and ${number(more)} more; --check prints them\n`, process.stderr)
}

function describeCounts({ jobs, repeated, linked }: CheckedLines & Pick<Links, 'linked'>, areNoJobs: string): string {
  return `${number(jobs)} jobs${linkedToo(linked)}${repeatedToo(repeated)}${areNoJobs === '' ? '' : `, and ${areNoJobs}`}`
}

function linkedToo(linked: number): string {
  return linked === 0 ? '' : `, ${number(linked)} linked from earlier batches`
}

function repeatedToo(repeated: number): string {
  return repeated === 0 ? '' : `, ${number(repeated)} repeated lines left out`
}
