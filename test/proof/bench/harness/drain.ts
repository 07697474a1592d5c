import type { Bar } from './bench.ts'

/** What a drained batch is measured by. */
interface Drained {
  readonly drainMs: number
  readonly idealMs: number
  /** Of the requests. */
  readonly refused: number
  readonly requests: number
  readonly missedDeadlines: number
  readonly deadLetters: number
}

export function drainValues({ drainMs, idealMs, refused, requests, missedDeadlines, deadLetters }: Drained) {
  return {
    'drain ÷ ideal': drainMs / idealMs,
    '429s %': (100 * refused) / Math.max(1, requests),
    'missed deadlines': missedDeadlines,
    'dead letters': deadLetters,
  }
}

/** No deadline may be missed and no job dead-lettered. `drain` and `refused` are the most that is accepted. */
export function drainBars(contestant: string, drain: number, refused?: number): readonly Bar[] {
  return [
    { contestant, metric: 'drain ÷ ideal', is: 'at most', value: drain },
    ...(refused === undefined ? [] : [{ contestant, metric: '429s %', is: 'at most' as const, value: refused }]),
    { contestant, metric: 'missed deadlines', is: 'exactly', value: 0 },
    { contestant, metric: 'dead letters', is: 'exactly', value: 0 },
  ]
}
