import { styleText } from 'node:util'
import type { JobRecord } from '../../shared/job/record.ts'
import { textOf } from '../../shared/models/job-answer.ts'
import type { JobReader } from '../../shared/stores/job-store.ts'
import { plainText } from '../plain-text.ts'
import { FILTERED_ID, TOO_LONG_ID } from './demo-jobs.ts'
import type { Document } from './documents.ts'

const WIDTH = 96
const SOURCE_LINES = 6
const MIN_SUMMARY_LENGTH = 80
const MAX_SOURCE_LENGTH = 8_000

/** A summary beside its source: of the first short document that has a summary of some length. */
export async function printSummary(
  documents: readonly Document[],
  records: readonly JobRecord[],
  reader: JobReader,
): Promise<string> {
  for (const document of documents) {
    const record = records.find(({ id }) => id === document.name)
    if (record?.status !== 'succeeded') continue
    const answer: unknown = JSON.parse((await reader.readResult(record)) ?? 'null')
    const summary = plainText(textOf(record.url, answer) ?? '')
    if (summary.length < MIN_SUMMARY_LENGTH || document.text.length > MAX_SOURCE_LENGTH) continue
    return [
      styleText('bold', document.name),
      ...excerpt(document.text).map((line) => styleText('dim', `  │ ${line}`)),
      ...wrap(summary).map((line) => `  ${line}`),
      '',
    ].join('\n')
  }
  return ''
}

/** The two jobs that fail on purpose, with the reason. */
export function printFailures(records: readonly JobRecord[]): string {
  return [FILTERED_ID, TOO_LONG_ID]
    .flatMap((id) => {
      const record = records.find((found) => found.id === id)
      if (record?.status !== 'dead_lettered') return []
      const { code, kind, hint = '' } = record.error
      return [`  ${styleText('bold', id)}  ${code ?? kind}\n`, ...wrap(hint).map((line) => `    ${line}\n`)]
    })
    .join('')
}

function excerpt(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return [...lines.slice(0, SOURCE_LINES).map((line) => plainText(line).slice(0, WIDTH)), '…']
}

function wrap(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + word.length < WIDTH) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
