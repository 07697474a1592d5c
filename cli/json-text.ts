// An answer is passed on as text. If it were parsed and serialized, its numbers would lose digits.

import { endOfString } from '../shared/job/exact-numbers.ts'

const TOKEN = /"|\{\s*\}|\[\s*\]|[{}[\],:]|[^\s"{}[\],:]+/g

/** Adds a member at the end of an object's JSON text. `value`: JSON text, which is put on one line. */
export function withMember(object: string, name: string, value: string): string {
  return `${object.slice(0, -1)},${JSON.stringify(name)}:${onOneLine(value)}}`
}

/** Line ends occur only between values. JSON escapes them inside strings. */
export function onOneLine(json: string): string {
  return json.replaceAll(/[\r\n]+/g, '')
}

/** Formats JSON text for people, as JSON.stringify does with an indent of two. */
export function indented(json: string): string {
  let depth = 0
  let laidOut = ''
  const newLine = () => `\n${'  '.repeat(depth)}`
  for (const token of tokensOf(json)) laidOut += layOut(token)
  return laidOut

  function layOut(token: string): string {
    switch (token) {
      case '{':
      case '[':
        depth += 1
        return token + newLine()
      case '}':
      case ']':
        depth -= 1
        return newLine() + token
      case ',':
        return token + newLine()
      case ':':
        return ': '
      default:
        return /^[{[]/.test(token) ? token.replaceAll(/\s/g, '') : token
    }
  }
}

function* tokensOf(json: string): Generator<string> {
  const pattern = new RegExp(TOKEN)
  for (let found = pattern.exec(json); found !== null; found = pattern.exec(json)) {
    if (found[0] === '"') pattern.lastIndex = endOfString(json, found.index)
    yield json.slice(found.index, pattern.lastIndex)
  }
}
