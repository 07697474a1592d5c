// A JavaScript number has one spelling and about 16 digits. Numbers that it would change are kept as raw JSON.

/** A number as it was spelled, which JSON.stringify writes again. */
interface RawNumber {
  readonly rawJSON: string
}

declare global {
  // TypeScript's library has neither of them yet.
  interface JSON {
    rawJSON(text: string): RawNumber
    isRawJSON(value: unknown): value is RawNumber
  }
}

/** A raw number takes about sixteen times its text in memory: this many fit beside many other jobs. */
export const MAX_RAW_NUMBERS = 100_000

const BACKSLASH = 0x5c
const ZERO = 0x30
const NINE = 0x39

/** Numbers that JavaScript may spell in another way. Whole numbers of at most 15 digits it keeps, but for -0. */
const SUSPECTS = /-?\d{16,}[\d.eE+-]*|-?\d{1,15}[.eE][\d.eE+-]*|-0/g

/** The number in a field of a body, as near as JavaScript comes to it; undefined where there is none. */
export function numberOf(field: unknown): number | undefined {
  if (JSON.isRawJSON(field)) return Number(field.rawJSON)
  return typeof field === 'number' ? field : undefined
}

/**
 * Gives an object that was parsed from a text its numbers digit for digit; undefined where too many of them are raw.
 *
 * `member`: the object is this member of the text's object. The text must be valid JSON, and the object not too deep
 * to recurse into. Parsed with a reviver, a long list of numbers would take seconds.
 */
export function restoreDigits(
  object: Readonly<Record<string, unknown>>,
  text: string,
  member?: string,
): Readonly<Record<string, unknown>> | undefined {
  const quoted = quoteInexact(text)
  if (quoted.count === 0) return object
  if (quoted.count > MAX_RAW_NUMBERS) return undefined
  const whole: unknown = JSON.parse(quoted.text)
  return restoreMembers(object, member === undefined ? whole : memberOf(whole, member))
}

function restore(value: unknown, quoted: unknown): unknown {
  if (typeof value === 'number') return typeof quoted === 'string' ? JSON.rawJSON(quoted) : value
  if (Array.isArray(value)) return value.map((item, at) => restore(item, memberOf(quoted, at)))
  return typeof value === 'object' && value !== null ? restoreMembers(value, quoted) : value
}

function restoreMembers(object: object, quoted: unknown): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, restore(value, memberOf(quoted, name))]),
  )
}

function memberOf(value: unknown, name: string | number): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** The text with each number that JavaScript would change as a string, and how many these are. */
function quoteInexact(text: string): { readonly text: string; readonly count: number } {
  let [quoted, copied, count] = ['', 0, 0]
  for (let at = 0; at < text.length; ) {
    const end = startOfString(text, at)
    if (hasDigit(text, at, end)) {
      quoted += text.slice(copied, at) + text.slice(at, end).replaceAll(SUSPECTS, quoteOne)
      copied = end
    }
    at = endOfString(text, end)
  }
  return { text: quoted + text.slice(copied), count }

  function quoteOne(number: string): string {
    if (JSON.stringify(Number(number)) === number) return number
    count += 1
    return `"${number}"`
  }
}

function hasDigit(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at)
    if (code >= ZERO && code <= NINE) return true
  }
  return false
}

/** Where the next string of a JSON text begins, or the text's end. */
function startOfString(text: string, from: number): number {
  const at = text.indexOf('"', from)
  return at === -1 ? text.length : at
}

/**
 * Where a string ends that begins at a place of a JSON text, its quotes included.
 *
 * A regular expression would do it for short strings; of one with a few million escapes it runs out of stack.
 */
export function endOfString(text: string, start: number): number {
  let close = start
  do close = startOfString(text, close + 1)
  while (isEscaped(text, close))
  return close + 1
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}
