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

const BACKSLASH = 0x5c
const ZERO = 0x30
const NINE = 0x39

/** Numbers that JavaScript may write differently. It preserves whole numbers of at most 15 digits, except -0. */
const SUSPECTS = /-?\d{16,}[\d.eE+-]*|-?\d{1,15}[.eE][\d.eE+-]*|-0/g

/** The number in a field of a body, in JavaScript's precision, or undefined if there is none. */
export function numberOf(field: unknown): number | undefined {
  if (JSON.isRawJSON(field)) return Number(field.rawJSON)
  return typeof field === 'number' ? field : undefined
}

/**
 * Parses a JSON text and keeps the digits of numbers in one member. Numbers that JavaScript would write differently become
 * raw JSON. Throws SyntaxError.
 *
 * `mark`: a prefix that no string of the text has, such as the hash of the text. The nesting of the text must be shallow
 * enough for recursion. (A reviver, which receives the digits, takes twenty times as long.)
 */
export function parseExact(text: string, member: string, mark: string): unknown {
  const quoted = quoteInexact(text, mark)
  const value: unknown = JSON.parse(quoted)
  if (quoted === text) return value
  return restore(value, mark, (name) => (name === member ? JSON.rawJSON : Number))
}

type Restored = (number: string) => unknown

/** Replaces marked strings by numbers. `how`: by the name of the member that contains them. */
function restore(value: unknown, mark: string, how: (name: string) => Restored): unknown {
  if (typeof value === 'string') return value.startsWith(mark) ? how('')(value.slice(mark.length)) : value
  if (typeof value !== 'object' || value === null) return value
  for (const [name, inner] of Object.entries(value)) {
    const own = how(name)
    const restored = restore(inner, mark, () => own)
    if (restored !== inner) Reflect.set(value, name, restored)
  }
  return value
}

/** The text with each number that JavaScript would change as a string behind the mark; the text itself without any. */
function quoteInexact(text: string, mark: string): string {
  let [quoted, copied] = ['', 0]
  for (let at = 0; at < text.length; ) {
    const end = startOfString(text, at)
    if (hasDigit(text, at, end)) {
      quoted += text.slice(copied, at) + text.slice(at, end).replaceAll(SUSPECTS, quoteOne)
      copied = end
    }
    at = endOfString(text, end)
  }
  return quoted + text.slice(copied)

  function quoteOne(number: string): string {
    return JSON.stringify(Number(number)) === number ? number : `"${mark}${number}"`
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
 * Returns the end of the string that begins at a position of a JSON text, after its closing quote, or the end of the text
 * if the string is not closed.
 *
 * A regular expression works for short strings, but overflows the stack on a string with a few million escapes.
 */
export function endOfString(text: string, start: number): number {
  let close = start
  do close = startOfString(text, close + 1)
  while (close < text.length && isEscaped(text, close))
  return Math.min(close + 1, text.length)
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}
