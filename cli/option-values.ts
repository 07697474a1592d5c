import { InvalidArgumentError } from 'commander'

/** A duration as the user typed it, and in milliseconds. */
export interface Duration {
  readonly text: string
  readonly ms: number
}

const MINUTE_MS = 60_000
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: MINUTE_MS, h: 60 * MINUTE_MS, d: 24 * 60 * MINUTE_MS }

/** Reads an option such as `--limit 20`. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 1 or more.')
  return Number(text)
}

/** Reads an option such as `--token-limit 2000000`. */
export function tokenNumber(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of tokens, 1 or more.')
  return Number(text)
}

/** Reads an option such as `--since 24h`. */
export function duration(text: string): Duration {
  const [, count, unit = ''] = /^([1-9]\d{0,4})([smhd])$/.exec(text) ?? []
  const unitMs = UNIT_MS[unit]
  if (unitMs === undefined) {
    throw new InvalidArgumentError('It must be seconds, minutes, hours or days, such as 90s, 30m, 24h or 7d.')
  }
  return { text, ms: Number(count) * unitMs }
}
