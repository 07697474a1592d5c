import { Command } from 'commander'
import type { Environment } from '../shared/config/rules.ts'
import { parseJob } from '../shared/job/parse-job.ts'
import { foldedIn, type StatusCounts, settledIn, unknownAttempts } from '../shared/job/record.ts'
import type { JobName } from '../shared/job/transitions.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import { type CancelResult, cancelJob } from '../shared/stores/cancel-job.ts'
import { plainText } from './plain-text.ts'
import { print, printJson } from './print.ts'
import { addStoreOptions, type StoreOptions, withStores } from './with-stores.ts'

interface CancelOptions extends StoreOptions {
  readonly batch?: string
  readonly json?: true
}

/** `promptbridge cancel ID`, or `cancel --batch NAME`: a job, or a whole batch, that is not to be run any more. */
export function cancelCommand(environment: Environment): Command {
  const command = new Command('cancel')
    .description('cancel a job that is not running; or, without an id, a whole batch with its running jobs')
    .argument('[id]', 'the id the job was submitted with')
    .option('--batch <name>', 'the batch it was submitted in; without it, the batch that has no name')
  return addStoreOptions(command)
    .option('--json', 'print what became of it as JSON')
    .exitOverride()
    .action(async (id: string | undefined, options: CancelOptions) => {
      if (id !== undefined) process.exitCode = await cancelOne(id, options, environment)
      else if (options.batch) await cancelBatch(options.batch, options, environment)
      else command.error('error: which job? Give an id, or --batch for a whole batch')
    })
}

/** The workers do the rest: they read it within five seconds. */
async function cancelBatch(batch: string, options: CancelOptions, environment: Environment): Promise<void> {
  nameOf('-', batch)
  await withStores('change', options, environment, async ({ batches, documents }) => {
    const before = await batches.read(batch)
    if (before?.cancelledAt === undefined) await batches.cancel(batch, Date.now())
    const counts = await documents.countByStatus(batch)
    const total = before === undefined || before.status === 'open' ? undefined : before.total
    const settled = settledIn(counts)
    const left = total === undefined ? undefined : Math.max(0, total - settled)
    const told = { batch, cancelled: true, total, settled, left, counts }
    if (options.json) printJson(told)
    else print(`${plainText(describeBatch(told))}\n`)
  })
}

interface CancelledBatch {
  readonly batch: string
  readonly total: number | undefined
  readonly settled: number
  /** Undefined while their number is unknown. */
  readonly left: number | undefined
  readonly counts: StatusCounts
}

function describeBatch({ batch, total, settled, left, counts }: CancelledBatch): string {
  const { running = 0 } = counts
  if (left === 0) return `${batch}  cancelled  all of its ${total} jobs had been settled before, and stay as they are`
  const known = total === undefined ? `${settled} jobs settled` : `${settled} of ${total} jobs settled`
  const rest = left === undefined ? 'all others are' : `${left} left, to be`
  return `${batch}  cancelled  ${known}, ${rest} settled as cancelled when they come; ${running} under way are broken off`
}

/** Resolves with the exit code: 0 when the job is cancelled now, by this command or by an earlier one. */
async function cancelOne(id: string, options: CancelOptions, environment: Environment): Promise<number> {
  const { batch = '', json } = options
  const job = nameOf(id, batch)
  const result = await withStores('change', options, environment, async ({ documents }, _, resultTtlMs) => {
    const now = Date.now()
    return cancelJob(documents, job, { now, expireAt: now + resultTtlMs })
  })
  const status = result.kind === 'running' ? 'running' : result.record.status
  if (json) printJson({ ...job, status })
  else print(`${plainText(`${id}  ${describe(result)}`)}\n`)
  return status === 'cancelled' ? 0 : 1
}

/** By the rule that the worker reads jobs by: a record under a name that no job can have would only be in the way. */
function nameOf(id: string, batch: string): JobName {
  const parsed = parseJob(Buffer.from(JSON.stringify({ id, batch, prompt: '-' })), {}, sha256)
  if (!parsed.ok) throw new Error(`no job has this name: ${parsed.problem}`)
  const { key } = parsed.job
  return { key, id, batch }
}

function describe(result: CancelResult): string {
  if (result.kind === 'running') {
    const seconds = Math.ceil(result.leaseLeftMs / 1_000)
    return `running  being run now, and left alone: its instance may still finish it. Its lease ends in ${seconds} s`
  }
  const { status, attempts, folded } = result.record
  if (status !== 'cancelled') return `${status}  settled already, and left as it is`
  if (attempts.length === 0 && folded === undefined) return 'cancelled  it was not started, and will not be'
  const before = attempts.length + foldedIn(result.record)
  return `cancelled  attempts before: ${before}, of unknown outcome: ${unknownAttempts(result.record)}`
}
