import { endOfString } from './exact-numbers.ts'

/** Limits on a JSON text. A parsed value needs up to twenty times the memory of its text, and a name needs a hash slot. */
export interface JsonLimits {
  /** Values and member names. An empty list or object counts twice. */
  readonly maxValues: number
  /** Levels of lists and objects. */
  readonly maxDepth: number
}

/**
 * Returns the limit that a JSON text exceeds, without parsing it, or undefined if it exceeds none.
 *
 * Counts the structural characters outside strings in one pass, and stops at the first that exceeds a limit. The counts
 * are meaningless if the text is not JSON.
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
