import { Command } from 'commander'
import type { StoresConfig } from '../shared/config/config.ts'
import type { Environment } from '../shared/config/rules.ts'
import { foldedIn, unknownAttempts } from '../shared/job/attempts.ts'
import { parseJob } from '../shared/job/parse-job.ts'
import { type StatusCounts, settledIn } from '../shared/job/record.ts'
import type { JobName } from '../shared/job/transitions.ts'
import { sha256 } from '../shared/lib/sha256.ts'
import { type CancelResult, cancelJob } from '../shared/stores/cancel-job.ts'
import type { Stores } from '../shared/stores/open.ts'
import { findUnstarted } from './find-unstarted.ts'
import { addHelpEnding } from './help.ts'
import { addOutputOptions } from './output-options.ts'
import { plainText } from './plain-text.ts'
import { print, printJson } from './print.ts'
import { addStoreOptions, type StoreOptions, withStores } from './with-stores.ts'

interface CancelOptions extends StoreOptions {
  readonly batch?: string
  readonly force?: true
  readonly json?: true
}

/** `promptbridge cancel ID`, or `cancel --batch NAME`: cancels a job or a whole batch. */
export function cancelCommand(environment: Environment): Command {
  const command = new Command('cancel')
    .argument('[id]', 'the id of the job')
    .option('--batch <name>', 'the batch of the job (default: the batch without a name)')
    .option('--force', 'cancel it even if there is no trace of it yet')
  addOutputOptions(addStoreOptions(command), 'print the result as JSON')
  return addHelpEnding(command, {
    examples: [
      ['promptbridge cancel doc-7 --batch nightly', 'cancel one job'],
      ['promptbridge cancel --batch nightly', 'cancel all jobs of a batch that are not settled'],
    ],
    failure: 'the job is running or was settled before, there is no such job',
  })
    .exitOverride()
    .action(async (id: string | undefined, options: CancelOptions) => {
      if (id !== undefined) process.exitCode = await cancelOne(id, options, environment)
      else if (options.batch) await cancelBatch(options.batch, options, environment)
      else command.error('error: name a job by its id, or a whole batch with --batch')
    })
}

/** Records the cancel. The workers read it within five seconds and cancel the jobs. */
async function cancelBatch(batch: string, options: CancelOptions, environment: Environment): Promise<void> {
  nameOf('-', batch)
  await withStores('change', options, environment, async ({ batches, documents }) => {
    const before = await batches.read(batch)
    const counts = await documents.countByStatus(batch)
    if (before === undefined && !options.force && Object.keys(counts).length === 0) {
      throw new Error(`there is no batch "${plainText(batch)}"; to cancel jobs that are submitted later, use --force`)
    }
    if (before?.cancelledAt === undefined) await batches.cancel(batch, Date.now())
    const total = before === undefined || before.status === 'open' ? undefined : before.total
    const settled = settledIn(counts)
    const left = total === undefined ? undefined : Math.max(0, total - settled)
    const result = { batch, cancelled: true, total, settled, left, counts }
    if (options.json) printJson(result)
    else print(`${plainText(describeBatch(result))}\n`)
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
  if (left === 0) return `${batch}  cancelled  all ${total} jobs were settled before and are unchanged`
  const known = total === undefined ? `${settled} jobs settled` : `${settled} of ${total} jobs settled`
  const rest = left === undefined ? 'all others' : `the other ${left}`
  return `${batch}  cancelled  ${known}; ${rest} are cancelled when they are delivered; running jobs that are aborted: ${running}`
}

/** Resolves with the exit code: 0 when the job is cancelled now, by this command or by an earlier one. */
async function cancelOne(id: string, options: CancelOptions, environment: Environment): Promise<number> {
  const { batch = '', json, force } = options
  const job = nameOf(id, batch)
  const result = await withStores('change', options, environment, async (stores, located) => {
    if (!force && (await stores.documents.read(job.key)) === undefined) await checkSubmitted(stores, located, job)
    const now = Date.now()
    return cancelJob(stores.documents, job, { now, expireAt: now + located.resultTtlMs })
  })
  const status = result.kind === 'running' ? 'running' : result.record.status
  if (json) printJson({ ...job, status })
  else print(`${plainText(`${id}  ${describe(result)}`)}\n`)
  return status === 'cancelled' ? 0 : 1
}

/** Rejects if there is no trace of a job that has no record. */
async function checkSubmitted(stores: Stores, located: StoresConfig, job: JobName): Promise<void> {
  if ((await findUnstarted(stores, located, job)).kind !== 'absent') return
  const where = job.batch === '' ? 'in the batch without a name' : `in batch "${plainText(job.batch)}"`
  throw new Error(`there is no job "${plainText(job.id)}" ${where}; to cancel it before it is submitted, use --force`)
}

/** Parses the name as the worker does, so that no record gets a name that no job can have. */
function nameOf(id: string, batch: string): JobName {
  const parsed = parseJob(Buffer.from(JSON.stringify({ id, batch, prompt: '-' })), {}, sha256)
  if (!parsed.ok) throw new Error(`no job can have this name: ${parsed.problem}`)
  const { key } = parsed.job
  return { key, id, batch }
}

function describe(result: CancelResult): string {
  if (result.kind === 'running') {
    const seconds = Math.ceil(result.leaseLeftMs / 1_000)
    return `running  not cancelled: its instance may still finish it. Its lease ends in ${seconds} s`
  }
  const { status, attempts, folded } = result.record
  if (status !== 'cancelled') return `${status}  not cancelled: it was settled before`
  if (attempts.length === 0 && folded === undefined) return 'cancelled  it was never started'
  const before = attempts.length + foldedIn(result.record)
  return `cancelled  attempts before: ${before}, of unknown outcome: ${unknownAttempts(result.record)}`
}
