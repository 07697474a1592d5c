import { readFile } from 'node:fs/promises'
import { text as readText } from 'node:stream/consumers'
import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { Stores } from '../../shared/stores/open.ts'
import { MisuseError } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { addOutputOptions } from '../output-options.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson } from '../print.ts'
import { addStoreOptions, type StoreOptions, withStores } from '../with-stores.ts'
import { type Edited, isOwnJob, jobText, notesOn, readEdited, withNotes, withoutNotes } from './edit-text.ts'
import { findLetter } from './find-letter.ts'
import { findStateObstacle } from './obstacles.ts'
import { openEditedFile } from './open-editor.ts'

interface EditOptions extends StoreOptions {
  readonly batch?: string
  readonly file?: string
  readonly includeReplayed?: true
  readonly json?: true
}

type Ready = Extract<Edited, { ok: true }>

/** `promptbridge dead-letters edit ID`: changes a job that failed and publishes it as its next run. */
export function editCommand(environment: Environment): Command {
  const command = new Command('edit')
    .description('edit the job of a dead letter, and publish it as its next run')
    .argument('<id>', 'the id of the job, or of the letter as `list` prints it')
    .option('--batch <name>', 'the batch of the job (default: the batch without a name)')
    .option('--file <path>', 'the edited job, or - for standard input (default: open it in $EDITOR)')
    .option('--include-replayed', 'also a letter that was replayed before')
  return addOutputOptions(
    addHelpEnding(addStoreOptions(command), {
      examples: [
        ['promptbridge dead-letters edit doc-7 --batch nightly', 'edit a job in $EDITOR and replay it'],
        ['promptbridge dead-letters edit doc-7 --file doc-7.json', 'replay a job as this file has it'],
      ],
      failure: 'there is no such dead letter, or its job must not run again',
    }),
    'print what was published as JSON',
  )
    .exitOverride()
    .action((id: string, options: EditOptions) => edit(id, options, environment))
}

async function edit(id: string, options: EditOptions, environment: Environment): Promise<void> {
  const { batch = '', file, includeReplayed = false, json } = options
  await withStores('change', options, environment, async (stores, { jobsTopic: topic }) => {
    const letter = await findLetter(stores, id, batch)
    await checkState(stores, letter, includeReplayed)
    const publish = (edited: Ready) => publishEdited(stores, topic, letter, edited)
    const published =
      file === undefined
        ? await editAndPublish(letter, await stores.deadLetters.readData(letter), environment, publish)
        : await publishFile(letter, await stores.deadLetters.readData(letter), file, publish)
    if (json) return printJson({ letter: letter.id, published: published !== undefined, ...published })
    if (published === undefined) print('nothing was changed, and nothing was published\n')
    else print(`${plainText(`${published.id}  published as run ${published.run}`)}\n`)
  })
}

type Publish = (edited: Ready) => Promise<Published>

interface Published {
  readonly id: string
  readonly run: number
}

/** Resolves with undefined if the file has the job as it was. */
async function publishFile(letter: DeadLetter, data: Uint8Array, file: string, publish: Publish) {
  const text = withoutNotes(await readInput(file))
  if (text === '' || isUnchanged(letter, data, text)) return undefined
  const edited = readEdited(letter, text, Date.now())
  if (!edited.ok) throw new MisuseError(`${file}: ${edited.problem}`)
  return publish(edited)
}

function isUnchanged(letter: DeadLetter, data: Uint8Array, text: string): boolean {
  return text === jobText(letter, data) || text === new TextDecoder().decode(data).trim()
}

async function readInput(file: string): Promise<string> {
  try {
    return file === '-' ? await readText(process.stdin) : await readFile(file, 'utf8')
  } catch (error) {
    throw new MisuseError(`${file} cannot be read`, { cause: error })
  }
}

/** Opens the editor until the text is a job. Resolves with undefined if the text is saved as it was, or empty. */
async function editAndPublish(letter: DeadLetter, data: Uint8Array, environment: Environment, publish: Publish) {
  let before = jobText(letter, data)
  if (before === undefined) throw new MisuseError('its data is not UTF-8 text; name the edited job with --file')
  const opened = await openEditedFile(environment)
  let problem: string | undefined
  for (;;) {
    const text: string = withoutNotes(await opened.edit(withNotes(before, notesOn(letter, problem))))
    if (text === '' || text === before) {
      await opened.remove()
      if (problem !== undefined && text !== '') throw new MisuseError(`nothing was published: ${problem}`)
      return undefined
    }
    const edited = readEdited(letter, text, Date.now())
    if (edited.ok) return keepUnless(opened, () => publish(edited))
    ;[before, problem] = [text, edited.problem]
  }
}

/** The text of a person is not lost if it cannot be published. */
async function keepUnless<T>(opened: { readonly path: string; remove(): Promise<void> }, work: () => Promise<T>) {
  try {
    const done = await work()
    await opened.remove()
    return done
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${message}\nyour text is in ${opened.path}`, { cause: error })
  }
}

/** Publishes only if no other replay of this letter has begun since it was read. */
async function publishEdited(stores: Stores, topic: string, letter: DeadLetter, edited: Ready): Promise<Published> {
  const { message, key, id, run } = edited
  const { deadLetters, queue, documents } = stores
  const record = (await documents.read(key))?.record
  if (isOwnJob(letter) && record !== undefined) throw new Error('a job with this id exists; give it another id')
  // The editor may have been open for long.
  const obstacle = findStateObstacle(letter, record)
  if (obstacle !== undefined) throw new Error(`nothing was published: ${obstacle}`)
  if (!(await deadLetters.beginReplay(letter, Date.now()))) {
    throw new Error('nothing was published: it was replayed meanwhile, or is being replayed')
  }
  try {
    await queue.publish(topic, message)
  } catch (error) {
    await deadLetters.endReplay(letter.id, 'abandoned', Date.now())
    throw error
  }
  await deadLetters.endReplay(letter.id, 'published', Date.now())
  return { id, run }
}

/** Rejects before the editor opens if the job must not run again. */
async function checkState({ documents }: Stores, letter: DeadLetter, includeReplayed: boolean): Promise<void> {
  const record = letter.key === undefined || isOwnJob(letter) ? undefined : (await documents.read(letter.key))?.record
  const isRepeated = letter.replays.n > 0 && !includeReplayed
  const obstacle = isRepeated
    ? 'it was replayed before; to edit and replay it again, use --include-replayed'
    : findStateObstacle(letter, record)
  if (obstacle !== undefined) throw new Error(plainText(`${letter.id} is not replayed: ${obstacle}`))
}
