import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import { kindOf } from '../../shared/sources/source-file.ts'
import { MisuseError } from '../exit-codes.ts'
import { type Input, openInput } from '../submit/open-input.ts'
import type { DocumentJobs } from './open-documents.ts'

export interface DocumentOptions {
  readonly template?: string
  readonly model?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly split?: true
}

/** The options by which documents become jobs. */
export function addDocumentOptions(command: Command): Command {
  return command
    .option(
      '--template <template>',
      'make a job of each document or row: summarize, extract, or the file of a template',
    )
    .option('--model <model>', 'the model of these jobs (default: that of the template)')
    .option('--metadata <key=value>', 'metadata of these jobs; can be given several times', addEntry)
    .option('--split', 'make several jobs of a document that the model cannot read at once')
}

function addEntry(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It must be KEY=VALUE.')
  return { ...before, [key]: value }
}

/**
 * Opens files of jobs, or with a template the documents that become jobs.
 *
 * Rejects with MisuseError if one of them cannot be used.
 */
export async function openInputs(
  inputs: readonly string[],
  { template, model, metadata = {}, split }: DocumentOptions,
  { environment, signal }: { readonly environment: Environment; readonly signal: AbortSignal },
): Promise<DocumentJobs> {
  if (template === undefined) {
    if (model !== undefined || split || Object.keys(metadata).length > 0) {
      throw new MisuseError('--model, --metadata and --split are for documents: they need --template')
    }
    for (const input of inputs) assertJobs(input)
    return { ...(await concatenate(inputs, signal)), problems: [], refused: 0, source: undefined, example: undefined }
  }
  const [{ readTemplate }, { openDocuments }] = await Promise.all([
    import('./read-template.ts'),
    import('./open-documents.ts'),
  ])
  return openDocuments(inputs, {
    ...{ template: await readTemplate(template), model, metadata, split: split === true, signal },
    storageEmulator: environment['STORAGE_EMULATOR_HOST'],
  })
}

/** Text may be a file of jobs with another ending. */
function assertJobs(input: string): void {
  const kind = kindOf(input)
  if (input.startsWith('gs://') || kind === 'pdf' || kind === 'docx' || kind === 'html' || kind === 'csv') {
    throw new MisuseError(`${input} is no file of jobs; --template summarize makes jobs of documents`)
  }
}

const LINE_END = Buffer.from('\n')

/** The content of all inputs, each ending a line. */
async function concatenate(inputs: readonly string[], signal: AbortSignal): Promise<Input> {
  const [first] = inputs
  if (first !== undefined && inputs.length === 1) return openInput(first, signal)
  await using opening = new AsyncDisposableStack()
  const opened: Input[] = []
  for (const input of inputs) opened.push(opening.use(await openInput(input, signal)))
  const stack = opening.move()
  async function* bytes(): AsyncGenerator<Uint8Array> {
    for (const input of opened) {
      yield* input.bytes()
      yield LINE_END
    }
  }
  return { name: first ?? '', bytes, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
