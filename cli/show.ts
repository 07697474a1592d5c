import { Command } from 'commander'
import type { Environment } from '../shared/config/rules.ts'
import { jobKey } from '../shared/job/job.ts'
import { type Cost, costOfRecord, describeCost } from '../shared/job/price.ts'
import { isSettled, type JobRecord } from '../shared/job/record.ts'
import type { JobName } from '../shared/job/transitions.ts'
import { defined } from '../shared/lib/defined.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import { createJobReader } from '../shared/stores/job-reader.ts'
import { ExitCode } from './exit-codes.ts'
import { describePossible, findUnstarted, type Unstarted } from './find-unstarted.ts'
import { addHelpEnding } from './help.ts'
import { indented, withMember } from './json-text.ts'
import { addOutputOptions } from './output-options.ts'
import { plainText } from './plain-text.ts'
import { pricesIn } from './prices.ts'
import { print, printJson, printJsonText } from './print.ts'
import { addStoreOptions, type StoreOptions, withReaders } from './with-stores.ts'

interface ShowOptions extends StoreOptions {
  readonly batch?: string
  readonly json?: true
}

/** `promptbridge show ID`: all that is recorded about one job. */
export function showCommand(environment: Environment): Command {
  const command = new Command('show')
    .argument('<id>', 'the id of the job')
    .option('--batch <name>', 'the batch of the job (default: the batch without a name)')
  addOutputOptions(addStoreOptions(command), 'print the record as JSON')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge show doc-7 --batch nightly', 'show a job of a batch'],
      ['promptbridge show doc-7 --json', 'show a job without a batch as JSON'],
    ],
    failure: 'there is no such job',
    codes: ['incomplete'],
  })
    .exitOverride()
    .action(async (id: string, options: ShowOptions) => {
      process.exitCode = await show(id, options, environment)
    })
}

async function show(id: string, options: ShowOptions, environment: Environment): Promise<number> {
  const { batch = '', json } = options
  const job = { key: jobKey(batch, id, sha256), id, batch }
  return withReaders(options, environment, async (stores, located) => {
    const reader = createJobReader(stores.documents)
    const record = await reader.read(job.key)
    if (record === undefined) return showUnstarted(job, await findUnstarted(stores, located, job), json)
    const result = isSettled(record) ? await reader.readResult(record) : undefined
    const cost = costOfRecord(pricesIn(environment), record)
    if (json) printJsonText(recordLine(record, cost, result))
    else print(describeRecord(record, cost, result))
    return ExitCode.done
  })
}

/** A job that no worker has begun has no record. Resolves with the exit code. */
function showUnstarted({ id, batch }: JobName, found: Unstarted, json: true | undefined): number {
  if (found.kind === 'absent') {
    const where = batch === '' ? 'in the batch without a name' : `in batch "${batch}"`
    throw new Error(`there is no job "${plainText(id)}" ${plainText(where)}; to search another batch, use --batch`)
  }
  const isQueued = found.kind === 'queued'
  const status = isQueued ? 'submitted' : 'unknown'
  const text = isQueued ? 'submitted, not started' : describePossible(batch, found)
  if (json) printJson({ id, batch, status, ...(!isQueued && defined({ notStarted: found.jobs })) })
  else print(`${plainText(`${id}  ${text}`)}\n`)
  return isQueued ? ExitCode.done : ExitCode.incomplete
}

/** Puts the answer in the place of the record's reference to it. */
function recordLine(record: JobRecord, cost: Cost | undefined, answer: string | undefined): string {
  const line = JSON.stringify({ ...record, cost, result: undefined })
  return answer === undefined ? line : withMember(line, 'result', answer)
}

function describeRecord(record: JobRecord, cost: Cost | undefined, answer: string | undefined): string {
  const lines = [`${record.id}  ${record.status}  (run ${record.run})`]
  if (record.batch !== '') lines.push(`batch     ${record.batch}`)
  for (const attempt of record.attempts) {
    const {
      n,
      outcome = 'under way',
      cause,
      deployment = '',
      httpStatus = '',
      requestId = '',
      tier,
      spilledTo,
    } = attempt
    const came = cause === undefined ? outcome : `${outcome} (${cause})`
    const by = [
      ...(spilledTo === undefined ? [] : [`spilled to ${spilledTo}`]),
      ...(tier === undefined ? [] : [`tier ${tier}`]),
    ]
    const said = by.length > 0 ? `  (${by.join(', ')})` : ''
    lines.push(`attempt   ${n}  ${came}  ${deployment} ${httpStatus} ${requestId}`.trimEnd() + said)
  }
  for (const { run, n, firstAt, lastAt } of record.folded ?? []) {
    const [from, to] = [firstAt, lastAt].map((time) => new Date(time).toISOString())
    lines.push(
      `unserved  ${n} attempts of run ${run} that the service could not process, ${from} to ${to}; billing unknown`,
    )
  }
  if (record.status === 'succeeded' && record.linkedFrom !== undefined) {
    lines.push(`linked    from batch ${record.linkedFrom}, so nothing was asked or paid`)
  }
  if ('error' in record) {
    const { kind, code, message, hint } = record.error
    lines.push(`error     ${kind}${code === undefined ? '' : ` (${code})`}: ${message}`)
    if (hint !== undefined) lines.push(`to do     ${hint}`)
  }
  if (record.status === 'succeeded') {
    const { promptTokens, completionTokens, cachedTokens } = record.usage
    const cached = cachedTokens === undefined ? '' : ` (${cachedTokens} cached)`
    const estimated = record.usageKnown === false ? ' (estimated: the answer does not say)' : ''
    const tokens = `${promptTokens} in${cached}, ${completionTokens} out${estimated}`
    lines.push(`tokens    ${tokens}, finished by ${record.finishReason}`)
  }
  if (cost !== undefined) lines.push(`cost      ${describeCost(cost)}`)
  const plain = lines.map(plainText)
  if (answer !== undefined) plain.push('', indented(answer))
  return `${plain.join('\n')}\n`
}
