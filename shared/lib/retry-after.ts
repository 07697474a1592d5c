/** Reads one header of a reply; names are lower case. */
type HeaderOf = (name: string) => string | null | undefined

/** Longer waits are not realistic. Each caller has a lower limit. */
const MAX_WAIT_MS = 24 * 3_600_000
/** A number or a date is shorter. */
const MAX_LENGTH = 100
const SPREAD = 0.2
/** The headers of Azure OpenAI and of gateways in front of it, the most precise first. */
const MS_HEADERS = ['retry-after-ms', 'x-ms-retry-after-ms']

/** RFC 9110 5.6.7: the form that is sent today, and the two older ones that a recipient has to accept. */
const HTTP_DATE =
  /^(?:[a-z]{3}, \d{2} [a-z]{3} \d{4} \d{2}:\d{2}:\d{2} GMT|[a-z]{6,9}, \d{2}-[a-z]{3}-\d{2} \d{2}:\d{2}:\d{2} GMT|[a-z]{3} [a-z]{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/i

/**
 * Reads how long a service asks its caller to wait, from every header and format that vendors use.
 *
 * In milliseconds, 0 to 24 hours; undefined where no header has a value that can be meant: Azure sends empty ones and -1.
 * A date counts from the reply's own Date, since the two clocks need not agree; without a plausible one, from `now`
 * (epoch milliseconds).
 */
export function readRetryAfter(headerOf: HeaderOf, now: number): number | undefined {
  const waits = [
    ...MS_HEADERS.map((name) => numberIn(headerOf(name))),
    secondsIn(headerOf('retry-after')),
    untilDate(headerOf, now),
  ]
  const asked = waits.find((waitMs) => waitMs !== undefined)
  return asked === undefined ? undefined : Math.min(Math.max(0, Math.round(asked)), MAX_WAIT_MS)
}

/** Spreads the callers that were asked to wait equally long over a fifth more, none before its time. `jitter`: 0 to 1. */
export function spreadWait(waitMs: number, jitter: number): number {
  return waitMs + Math.ceil(waitMs * SPREAD * jitter)
}

function secondsIn(text: string | null | undefined): number | undefined {
  const seconds = numberIn(text)
  return seconds === undefined ? undefined : seconds * 1_000
}

function untilDate(headerOf: HeaderOf, now: number): number | undefined {
  const until = dateIn(headerOf('retry-after'))
  if (until === undefined) return undefined
  const repliedAt = dateIn(headerOf('date'))
  return until - (repliedAt !== undefined && Math.abs(repliedAt - now) <= MAX_WAIT_MS ? repliedAt : now)
}

/** Decimal digits only: no sign, no exponent, no unit. */
function numberIn(text: string | null | undefined): number | undefined {
  const trimmed = bounded(text)
  return /^\d*\.?\d+$/.test(trimmed) ? Number(trimmed) : undefined
}

function dateIn(text: string | null | undefined): number | undefined {
  const trimmed = bounded(text)
  if (!HTTP_DATE.test(trimmed)) return undefined
  // The oldest form names no zone, and would be read in the machine's own.
  const time = Date.parse(/GMT$/i.test(trimmed) ? trimmed : `${trimmed} GMT`)
  return Number.isNaN(time) ? undefined : time
}

function bounded(text: string | null | undefined): string {
  return text === null || text === undefined || text.length > MAX_LENGTH ? '' : text.trim()
}
