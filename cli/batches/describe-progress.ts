import { describeCost } from '../../shared/job/price.ts'
import type { BatchCost } from '../../shared/stores/batch-cost.ts'
import { type BatchProgress, failedIn } from '../../shared/stores/batch-progress.ts'
import { plainText } from '../plain-text.ts'
import type { Observed } from './follow-batch.ts'

const STATES: Readonly<Record<BatchProgress['state'], string>> = {
  submitting: 'being submitted',
  running: 'running',
  complete: 'complete',
  incomplete: 'incomplete: some jobs have no record, and their messages are lost',
}

/** How far a batch has come, as a block of lines for people. */
export function describeProgress({ progress, rate, leftMs }: Observed, cost?: BatchCost): string {
  const { name, counts, failures, failuresOf, tokens, tokenLimit, linked = 0, notStarted } = progress
  const { running = 0, waiting = 0, succeeded = 0, dead_lettered = 0, cancelled = 0, expired = 0 } = counts
  const reasons = Object.entries(failures).toSorted(([, a], [, b]) => b - a)
  const speed = rate === undefined ? [] : [`rate         ${describeRate(rate)}`]
  const left = leftMs === undefined ? [] : [`time left    ${inWords(leftMs)}`]
  const lines = [
    `${name}  ${describeState(progress)}`,
    `settled      ${ofTotal(progress)}`,
    `not started  ${notStarted === undefined ? 'not known yet' : number(notStarted)}`,
    `running      ${number(running)}`,
    `waiting      ${number(waiting)}  for another attempt`,
    `succeeded    ${number(succeeded)}${linked > 0 ? `  ${number(linked)} of them linked from earlier batches` : ''}`,
    `failed       ${number(dead_lettered)}${failuresOf === undefined ? '' : `, the reasons of ${number(failuresOf)} of them`}`,
    ...reasons.map(([kind, n]) => `  ${kind.padEnd(12)} ${number(n)}`),
    ...(cancelled > 0 ? [`cancelled    ${number(cancelled)}`] : []),
    ...(expired > 0 ? [`expired      ${number(expired)}`] : []),
    `tokens       ${number(tokens.promptTokens)} in, ${number(tokens.completionTokens)} out${limitOf(tokenLimit)}`,
    ...(cost === undefined ? [] : [`cost         ${describeBatchCost(cost)}`]),
    ...speed,
    ...left,
  ]
  return lines.map((line) => `${plainText(line)}\n`).join('')
}

export function describeState({ state, isCancelled }: Pick<BatchProgress, 'state' | 'isCancelled'>): string {
  return isCancelled ? `cancelled, ${STATES[state]}` : STATES[state]
}

/** One line: `281 of 3,000 settled, 40 running, 3 failed; 12/s, 4 min left`. */
export function describeBriefly({ progress, rate, leftMs }: Observed): string {
  const { running = 0, waiting = 0 } = progress.counts
  const parts = [`${ofTotal(progress)} settled`, `${number(running)} running`]
  if (waiting > 0) parts.push(`${number(waiting)} waiting`)
  if (failedIn(progress) > 0) parts.push(`${number(failedIn(progress))} failed`)
  const speed = rate === undefined ? [] : [describeRate(rate)]
  const left = leftMs === undefined ? [] : [`${inWords(leftMs)} left`]
  const pace = [...speed, ...left].join(', ')
  return pace === '' ? parts.join(', ') : `${parts.join(', ')}; ${pace}`
}

export function ofTotal({ settled, total }: Pick<BatchProgress, 'settled' | 'total'>): string {
  return total === undefined ? number(settled) : `${number(settled)} of ${number(total)}`
}

function describeBatchCost({ fromJobs, ...cost }: BatchCost): string {
  return fromJobs === undefined ? describeCost(cost) : `${describeCost(cost)}, estimated from ${fromJobs} jobs`
}

function limitOf(tokenLimit: number | undefined): string {
  return tokenLimit === undefined ? '' : `, of at most ${number(tokenLimit)}`
}

function describeRate(rate: number): string {
  return rate >= 1 ? `${number(Math.round(rate))}/s` : `${number(Math.max(1, Math.round(rate * 60)))}/min`
}

/** In the form of English, in every environment. */
export function number(n: number): string {
  return n.toLocaleString('en-US')
}

function inWords(ms: number): string {
  const seconds = Math.ceil(ms / 1_000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`
}
