import { type Command, Option } from 'commander'
import { endReasons } from '../../shared/job/failures.ts'
import { defined } from '../../shared/lib/defined.ts'
import { closestName } from '../../shared/lib/did-you-mean.ts'
import type { BatchStore } from '../../shared/stores/batch-store.ts'
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterReader,
  type LetterStatus,
  letterStatuses,
} from '../../shared/stores/dead-letter-store.ts'
import type { RecordDocuments } from '../../shared/stores/record-documents.ts'
import { MisuseError } from '../exit-codes.ts'
import { type Duration, duration } from '../option-values.ts'
import { plainText } from '../plain-text.ts'
import type { StoreOptions } from '../with-stores.ts'

export interface LetterOptions {
  readonly batch?: string
  readonly reason?: string
  readonly model?: string
  readonly since?: Duration
  readonly olderThan?: Duration
  readonly status?: LetterStatus
}

const PAGE = 300

/** The options by which dead letters are chosen. */
export function addLetterOptions(command: Command): Command {
  return command
    .option('--batch <name>', 'only those of this batch')
    .option('--reason <reason>', 'only those with this reason: rejected, no_deployment, max_attempts, …')
    .option('--model <name>', 'only those that name this model')
    .option('--since <duration>', 'only those of the last 30m, 24h, 7d', duration)
    .option('--older-than <duration>', 'only those that came before the last 30m, 24h, 7d', duration)
    .addOption(new Option('--status <status>', 'only those that are open, or were replayed').choices(letterStatuses))
}

/** Whether letters are chosen at all. */
export function hasChoice({ batch, reason, model, since, olderThan, status }: LetterOptions): boolean {
  return [batch, reason, model, since, olderThan, status].some((choice) => choice !== undefined)
}

/** `now`: epoch milliseconds. */
export function filterOf(options: LetterOptions, now: number): DeadLetterFilter {
  const { batch, reason, model, since, olderThan, status } = options
  return {
    ...defined({ batch, reason, model, status }),
    ...(since !== undefined && { since: now - since.ms }),
    ...(olderThan !== undefined && { before: now - olderThan.ms }),
  }
}

/** The options that choose the same letters in another command, without reason and status. */
export function spellChoice({ batch, model, since, olderThan }: LetterOptions): readonly string[] {
  return spell({ '--batch': batch, '--model': model, '--since': since?.text, '--older-than': olderThan?.text })
}

/** The options that find the same store in another command. */
export function spellStore({ store, project }: StoreOptions): readonly string[] {
  return spell({ '--store': store, '--project': project })
}

function spell(given: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name, value]))
}

/** All that match, page by page; `onUnreadable` is called with the number of malformed letters of a page. */
export async function* readLetters(
  store: Pick<DeadLetterReader, 'list'>,
  filter: DeadLetterFilter,
  onUnreadable: (count: number) => void,
): AsyncGenerator<DeadLetter> {
  for (let after: string | undefined; ; ) {
    const { found, unreadable } = await store.list(filter, PAGE, after)
    if (unreadable > 0) onUnreadable(unreadable)
    yield* found
    after = found.at(-1)?.id
    if (found.length < PAGE) return
  }
}

interface Searched {
  readonly deadLetters: Pick<DeadLetterReader, 'list'>
  readonly documents: Pick<RecordDocuments, 'list'>
  readonly batches?: Pick<BatchStore, 'read'>
}

/** Rejects with MisuseError if nothing has this reason, batch or model, and names what there is. */
export async function checkChoice(stores: Searched, { reason, batch, model }: LetterOptions): Promise<void> {
  const isMissing = async (filter: DeadLetterFilter) => (await stores.deadLetters.list(filter, 1)).found.length === 0
  // A newer version may have stored another reason.
  if (reason !== undefined && !isEndReason(reason) && (await isMissing({ reason }))) {
    throw unknown('--reason', reason, endReasons)
  }
  if (batch !== undefined && (await isMissing({ batch })) && !(await isBatch(stores, batch))) {
    throw unknown('--batch', batch, await namesIn(stores, (letter) => letter.batch))
  }
  if (model === undefined || !(await isMissing({ model }))) return
  const models = await namesIn(stores, (letter) => letter.model)
  if (models.length > 0) throw unknown('--model', model, models)
}

function isEndReason(reason: string): boolean {
  return endReasons.some((known) => known === reason)
}

async function isBatch({ documents, batches }: Searched, name: string): Promise<boolean> {
  if ((await batches?.read(name)) !== undefined) return true
  for await (const _ of documents.list(name)) return true
  return false
}

const MOST_NAMES = 20
const MOST_LETTERS = 3_000

/** Some names that letters have. */
async function namesIn({ deadLetters }: Searched, nameOf: (letter: DeadLetter) => string | undefined) {
  const names = new Set<string>()
  let left = MOST_LETTERS
  for await (const letter of readLetters(deadLetters, {}, () => undefined)) {
    const name = nameOf(letter)
    if (name) names.add(name)
    left -= 1
    if (left === 0 || names.size >= MOST_NAMES) break
  }
  return [...names].toSorted()
}

function unknown(option: string, given: string, known: readonly string[]): MisuseError {
  const meant = closestName(given, known)
  const start = `${option}: no dead letter has "${plainText(given)}"`
  const question = meant === undefined ? '' : `; did you mean "${plainText(meant)}"?`
  const list = known.length === 0 ? 'there are no dead letters' : `known are: ${known.map(plainText).join(', ')}`
  return new MisuseError(`${start}${question}\n${list}`)
}
