import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { jobKey } from '../shared/job/job.ts'
import { isSettled, type JobRecord } from '../shared/job/record.ts'
import { createJobReader } from '../shared/store/job-reader.ts'
import { openSqliteDocuments } from '../shared/store/sqlite/sqlite-documents.ts'

/** `promptbridge show ID`: everything that is known of one job. */
export function showCommand(): Command {
  return new Command('show')
    .description('show one job: its record, its attempts, and its answer or why there is none')
    .argument('<id>', 'the id the job was submitted with')
    .option('--batch <name>', 'the batch it was submitted in; without it, the batch that has no name')
    .requiredOption('--store <sqlite:PATH>', 'where the records are, such as sqlite:.promptbridge/demo.db', sqlitePath)
    .option('--json', 'print the record as JSON')
    .exitOverride()
    .action(show)
}

function sqlitePath(store: string): string {
  const path = /^sqlite:(.+)$/.exec(store)?.[1]
  if (path === undefined) throw new InvalidArgumentError('It must have the form sqlite:PATH.')
  return path
}

interface ShowOptions {
  readonly batch?: string
  /** The path of the file. */
  readonly store: string
  readonly json?: true
}

async function show(id: string, { batch = '', store, json }: ShowOptions): Promise<void> {
  // Opening it would make it.
  if (!existsSync(store)) throw new Error(`there is no file ${store}; --store names the one that holds the records`)
  const documents = await openSqliteDocuments(store, Date.now)
  try {
    const reader = createJobReader(documents)
    const record = await reader.read(jobKey(batch, id, (data) => createHash('sha256').update(data).digest()))
    if (record === undefined) {
      const where = batch === '' ? 'in the batch that has no name' : `in batch "${batch}"`
      throw new Error(`there is no job "${id}" ${where}; --batch says which batch it was submitted in`)
    }
    const result = isSettled(record) ? await reader.readResult(record) : undefined
    const answer: unknown = result === undefined ? undefined : JSON.parse(result)
    process.stdout.write(json ? `${JSON.stringify({ ...record, result: answer })}\n` : describeRecord(record, answer))
  } finally {
    documents.close()
  }
}

function describeRecord(record: JobRecord, answer: unknown): string {
  const lines = [`${record.id}  ${record.status}  (run ${record.run})`]
  if (record.batch !== '') lines.push(`batch     ${record.batch}`)
  for (const attempt of record.attempts) {
    const { n, outcome = 'under way', deployment = '', httpStatus = '', requestId = '' } = attempt
    lines.push(`attempt   ${n}  ${outcome}  ${deployment} ${httpStatus} ${requestId}`.trimEnd())
  }
  if ('error' in record) {
    const { kind, code, message, hint } = record.error
    lines.push(`error     ${kind}${code === undefined ? '' : ` (${code})`}: ${message}`)
    if (hint !== undefined) lines.push(`to do     ${hint}`)
  }
  if (record.status === 'succeeded') {
    const { promptTokens, completionTokens } = record.usage
    lines.push(`tokens    ${promptTokens} in, ${completionTokens} out, finished by ${record.finishReason}`)
  }
  if (answer !== undefined) lines.push('', JSON.stringify(answer, null, 2))
  return `${lines.join('\n')}\n`
}
