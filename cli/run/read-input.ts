import type { DocumentJobs } from '../documents/open-documents.ts'
import { MisuseError } from '../exit-codes.ts'
import { plainText } from '../plain-text.ts'
import { batchNameFor, fileStemOf } from '../submit/batch-name.ts'
import { type CheckedLines, checkLines } from '../submit/check-lines.ts'
import { documentsAre, linesAre } from '../submit/describe-submit.ts'

const MAX_PROBLEMS = 20

/** Checked input files. */
export interface RunInput {
  /** The content of all, each ending a line. */
  bytes(): AsyncIterable<Uint8Array>
  /** The name of the first, without its folder and ending. */
  readonly name: string
  readonly source: string | undefined
  /** Made from the content, so that the same input has the same batch. */
  readonly batch: string
  readonly checked: CheckedLines
}

/** Checks every line of the input before anything is sent. Rejects with MisuseError, which lists what is no job. */
export async function readInput(input: DocumentJobs, signal: AbortSignal): Promise<RunInput> {
  const problems = input.problems.map(({ document, problem }) => `  ${plainText(document)}: ${plainText(problem)}`)
  const checked = await checkLines(input.bytes(), {
    attributes: {},
    onRefused(line, problem) {
      if (problems.length < MAX_PROBLEMS) problems.push(`  line ${line}: ${plainText(problem)}`)
    },
    signal,
  })
  const { jobs, fingerprint } = checked
  const refused = checked.refused + input.refused
  if (refused > 0) {
    const lines = input.refused > 0 ? documentsAre(refused) : linesAre(refused)
    throw new MisuseError([`${lines}, and nothing was sent:`, ...problems.slice(0, MAX_PROBLEMS)].join('\n'))
  }
  if (jobs === 0) throw new MisuseError(`${input.name}: there is no job in it`)
  const name = fileStemOf(input.name)
  return { bytes: input.bytes, source: input.source, name, checked, batch: batchNameFor(input.name, fingerprint) }
}
