import { quote } from '../../shared/lib/quote.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { invocation } from '../installation.ts'
import { instant } from '../instant.ts'
import { plainText } from '../plain-text.ts'
import { mustBeEdited } from './obstacles.ts'

/** How many letters failed for one reason, and how to fix the latest of them. */
interface ReasonCount extends Pick<Counted, 'reason' | 'code' | 'verified'> {
  readonly count: number
  readonly hint: string | undefined
}

/** The fields of a letter by which it is counted. */
type Counted = Pick<DeadLetter, 'reason' | 'code' | 'hint' | 'verified'>

export interface ReasonCounter {
  add(letter: Counted): void
  /** The most frequent first. */
  counts(): readonly ReasonCount[]
}

/** Counts letters by reason and code, which decide how to fix them. */
export function countReasons(): ReasonCounter {
  const counts = new Map<string, ReasonCount>()
  return {
    add(letter) {
      const { reason, code, verified } = letter
      const name = nameReason(letter)
      const before = counts.get(name)
      const hint = hintOf(letter) ?? before?.hint
      counts.set(name, { reason, code, verified, count: (before?.count ?? 0) + 1, hint })
    },
    counts: () => [...counts.values()].toSorted((a, b) => b.count - a.count),
  }
}

/** A table by reason for people: count, how to fix it, and the command that does it. */
export function describeReasons(
  counts: readonly ReasonCount[],
  chosenBy: readonly string[],
  store: readonly string[] = [],
): string {
  const lines = counts.flatMap(({ reason, code, verified, count, hint }) => [
    `${String(count).padStart(6)}  ${nameReason({ reason, code, verified })}`,
    ...(verified ? [] : [`        ${UNVERIFIED}`]),
    ...(hint === undefined ? [] : [`        ${hint}`]),
    `        ${invocation()} dead-letters ${[...nextCommand({ reason, code }, chosenBy), ...store].map(quote).join(' ')}`,
  ])
  return lines.map((line) => `${plainLine(line)}\n`).join('')
}

/** What fails again as it is gets no command that replays it. */
function nextCommand(letter: Pick<Counted, 'reason' | 'code'>, chosenBy: readonly string[]): readonly string[] {
  if (mustBeEdited(letter) || letter.reason === 'conflict') return ['edit', 'ID']
  return ['replay', ...replayOptions(letter.reason, chosenBy)]
}

/** Jobs that ended at the token limit of their batch need a higher limit, so the command names one batch and its limit. */
function replayOptions(reason: string, chosenBy: readonly string[]): readonly string[] {
  if (reason !== 'budget') return [...chosenBy, '--reason', reason]
  const named = chosenBy.includes('--batch') ? chosenBy : ['--batch', 'NAME', ...chosenBy]
  return [...named, '--reason', reason, '--token-limit', 'N']
}

/** One letter on one line. */
export function describeLine(letter: DeadLetter): string {
  const { id, jobId, run, message, replays } = letter
  const replayed = replays.n === 0 ? '' : `, replayed ${replays.n} ×`
  return `${plainLine(`${id}  ${jobId ?? '-'}  run ${run}${replayed}  ${nameReason(letter)}: ${message}`)}\n`
}

/** All that is recorded of one letter, except its data. */
export function describeLetter(letter: DeadLetter): string {
  const { id, jobId, batch, run, model, message, data, times, replays } = letter
  const hint = hintOf(letter)
  const came =
    times === 1 ? instant(letter.firstAt) : `${instant(letter.firstAt)} to ${instant(letter.lastAt)}, ${times} ×`
  const lines = [
    `${jobId ?? 'no job'}  (run ${run})`,
    `letter    ${id}`,
    ...(batch === '' ? [] : [`batch     ${batch}`]),
    ...(model === undefined ? [] : [`model     ${model}`]),
    `reason    ${nameReason(letter)}: ${message}`,
    ...(letter.verified ? [] : [`          ${UNVERIFIED}`]),
    ...(hint === undefined ? [] : [`to do     ${hint}`]),
    `received  ${came}`,
    ...(replays.lastAt === undefined ? [] : [`replayed  ${replays.n} ×, last ${instant(replays.lastAt)}`]),
    `data      ${data.bytes} bytes; --data writes them to standard output`,
    'attributes of the message:',
    ...Object.entries(letter.attributes).map(([name, value]) => `  ${name} = ${value}`),
  ]
  return lines.map((line) => `${plainLine(line)}\n`).join('')
}

const UNVERIFIED = 'no worker has verified this reason: it comes from the message, and the sender can have written it'

function nameReason({ reason, code, verified }: Pick<DeadLetter, 'reason' | 'code' | 'verified'>): string {
  const name = code === undefined ? reason : `${reason} (${code})`
  return verified ? name : `${name} [unverified]`
}

/** How to fix it, if a worker wrote that. */
function hintOf({ hint, verified }: Counted): string | undefined {
  return verified ? hint : undefined
}

function plainLine(line: string): string {
  return plainText(line).trimEnd()
}
