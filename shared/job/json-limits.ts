import { endOfString } from './exact-numbers.ts'

/** What a JSON text may be made of. A parsed value takes up to twenty times its text, and a name a slot of a hash table. */
export interface JsonLimits {
  /** Values and member names. An empty list or object counts twice. */
  readonly maxValues: number
  /** Levels of lists and objects. */
  readonly maxDepth: number
}

/**
 * Says what a JSON text has too much of, before it is parsed; undefined where it fits.
 *
 * It counts the structural characters outside strings in one pass, and stops at the first that is too many. Of a text that
 * is not JSON the counts mean nothing.
 */
export function findExcess(text: string, { maxValues, maxDepth }: JsonLimits): keyof JsonLimits | undefined {
  let [values, depth] = [1, 0]
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at) - 1
        break
      case ',':
      case ':':
        values += 1
        break
      case '{':
      case '[':
        values += 1
        depth += 1
        break
      case '}':
      case ']':
        depth -= 1
        break
    }
    if (values > maxValues) return 'maxValues'
    if (depth > maxDepth) return 'maxDepth'
  }
  return undefined
}
