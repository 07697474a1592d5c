import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { jobKey } from '../shared/job/job.ts'
import { isSettled, type JobRecord } from '../shared/job/record.ts'
import { createJobReader } from '../shared/store/job-reader.ts'
import { openSqliteDocuments } from '../shared/store/sqlite/sqlite-documents.ts'

/** `promptbridge show ID`: everything that is known of one job. */
export function showCommand(): Command {
  return new Command('show')
    .description('show one job: its record, its attempts, and its answer or why there is none')
    .argument('<id>', 'the id the job was submitted with')
    .option('--batch <name>', 'the batch it was submitted in', '')
    .requiredOption('--store <sqlite:PATH>', 'where the records are')
    .option('--json', 'print the record as JSON')
    .exitOverride()
    .action(show)
}

interface ShowOptions {
  readonly batch: string
  readonly store: string
  readonly json?: true
}

async function show(id: string, { batch, store, json }: ShowOptions): Promise<void> {
  const path = /^sqlite:(.+)$/.exec(store)?.[1]
  if (path === undefined || !existsSync(path)) throw new Error('--store names no database; it has the form sqlite:PATH')
  const documents = await openSqliteDocuments(path, Date.now)
  try {
    const reader = createJobReader(documents)
    const record = await reader.read(jobKey(batch, id, (data) => createHash('sha256').update(data).digest()))
    if (record === undefined)
      throw new Error(`no job "${id}" in ${batch === '' ? 'the nameless batch' : `batch "${batch}"`}`)
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
