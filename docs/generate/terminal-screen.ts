const ESCAPE = '\u001b'
/** A control character with the rest of its escape code, or text without any. */
const PIECES = new RegExp(`\\r\\n|${ESCAPE}\\[[\\d;?]*[A-Za-z]|\\p{Cc}|\\P{Cc}+`, 'gu')

/**
 * The lines of a terminal after this output: text, line ends, carriage returns and the erasing of the rest of a line.
 *
 * Throws on any other escape code or control character, because the lines would not be those of a terminal.
 */
export function screenAfter(output: string): readonly string[] {
  const done: string[] = []
  let [line, column] = ['', 0]
  for (const [piece] of output.matchAll(PIECES)) {
    if (piece === '\r') column = 0
    else if (piece === '\n' || piece === '\r\n') {
      done.push(line)
      ;[line, column] = ['', 0]
    } else if (piece === `${ESCAPE}[K`) line = line.slice(0, column)
    else if (/^\p{Cc}/u.test(piece)) throw new Error(`this screen cannot show ${JSON.stringify(piece)}`)
    else {
      line = line.slice(0, column) + piece + line.slice(column + piece.length)
      column += piece.length
    }
  }
  return [...done, line].map((text) => text.trimEnd())
}
