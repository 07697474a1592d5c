/**
 * Splits a text into the fewest parts of at most `most` characters, each about as long as the others.
 *
 * A part ends after a paragraph, else a line, else a word, if there is one in its last quarter.
 */
export function splitText(text: string, most: number): readonly string[] {
  const count = Math.ceil(text.length / most)
  const parts: string[] = []
  let from = 0
  while (text.length - from > most) {
    const left = Math.max(count - parts.length, Math.ceil((text.length - from) / most))
    const to = endOfPart(text, from, Math.min(from + most, from + Math.ceil(((text.length - from) / left) * 1.1)))
    parts.push(text.slice(from, to))
    from = to
  }
  return [...parts, text.slice(from)].map((part) => part.trim()).filter((part) => part !== '')
}

function endOfPart(text: string, from: number, most: number): number {
  const least = most - Math.floor((most - from) / 4)
  for (const separator of ['\n\n', '\n', ' ']) {
    const at = text.lastIndexOf(separator, most - separator.length)
    if (at >= least) return at + separator.length
  }
  const isHighHalf = /[\uD800-\uDBFF]/.test(text.charAt(most - 1))
  return isHighHalf && most - 1 > from ? most - 1 : most
}
