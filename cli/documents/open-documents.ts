import { createReadStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Job } from '../../shared/job/job.ts'
import { PRIVATE_FILE } from '../../shared/lib/private-files.ts'
import { createDocumentReader } from '../../shared/sources/document-reader.ts'
import { findSources } from '../../shared/sources/find-sources.ts'
import { readItems } from '../../shared/sources/read-items.ts'
import { SourceError } from '../../shared/sources/source-file.ts'
import { number } from '../batches/describe-progress.ts'
import { MisuseError } from '../exit-codes.ts'
import { readerFile } from '../installation.ts'
import { printNote, printStatus } from '../print.ts'
import type { Input } from '../submit/open-input.ts'
import { type LineOptions, makeLines } from './make-lines.ts'
import { sourceOf } from './source-of.ts'

/** A document or row that no job can be made of. */
export interface DocumentProblem {
  readonly document: string
  readonly problem: string
}

/** The jobs of documents, as lines of an OpenAI Batch file. */
export interface DocumentJobs extends Input {
  /** The first of them. */
  readonly problems: readonly DocumentProblem[]
  /** How many documents and rows no job can be made of. */
  readonly refused: number
  /** Of the inputs, the template and the model, without their content. Undefined if the inputs are no documents. */
  readonly source: string | undefined
  /** The body of the first job. */
  readonly example: Job['body'] | undefined
}

export interface OpenDocumentsOptions extends LineOptions {
  readonly storageEmulator: string | undefined
  readonly signal: AbortSignal
}

const DOCUMENT_TIMEOUT_MS = 60_000
const MAX_PROBLEMS = 10_000

/**
 * Makes a job of each document or row of the inputs. The jobs are kept in a file that only its owner can read, until they
 * are disposed.
 *
 * Rejects with MisuseError if an input is not there, or if there is no document in all of them.
 */
export async function openDocuments(inputs: readonly string[], options: OpenDocumentsOptions): Promise<DocumentJobs> {
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-'))
  const dispose = () => rm(folder, { recursive: true, force: true })
  const path = join(folder, 'jobs.jsonl')
  try {
    const made = await writeJobs(inputs, { path, folder }, options)
    const source = sourceOf(inputs, options)
    return {
      ...made,
      source,
      name: inputs[0] ?? '',
      bytes: () => createReadStream(path),
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error instanceof SourceError ? new MisuseError(error.message, { cause: error }) : error
  }
}

async function writeJobs(
  inputs: readonly string[],
  { path, folder }: { readonly path: string; readonly folder: string },
  options: OpenDocumentsOptions,
): Promise<Pick<DocumentJobs, 'problems' | 'refused' | 'example'>> {
  const { signal, storageEmulator } = options
  await using reader = createDocumentReader({ program: readerFile(), timeoutMs: DOCUMENT_TIMEOUT_MS })
  await using file = await open(path, 'wx', PRIVATE_FILE)
  const problems: DocumentProblem[] = []
  let example: Job['body'] | undefined
  let [refused, documents] = [0, 0]
  for (const input of inputs) {
    for await (const found of findSources(input, { folder, input: process.stdin, storageEmulator, signal })) {
      signal.throwIfAborted()
      if (found.kind === 'skipped') {
        printNote(`skipped ${found.name}: ${found.why}`)
        continue
      }
      documents += 1
      printStatus(`${number(documents)} documents read`)
      for await (const item of readItems(found.file, reader)) {
        signal.throwIfAborted()
        for (const made of makeLines(item, options)) {
          if (!made.ok) {
            refused += 1
            if (problems.length < MAX_PROBLEMS) problems.push({ document: made.document, problem: made.problem })
            continue
          }
          example ??= made.body
          await file.write(`${made.line}\n`)
        }
      }
    }
  }
  printStatus('')
  if (documents === 0) throw new MisuseError(`there is no document in ${inputs.join(', ')}`)
  return { problems, refused, example }
}
