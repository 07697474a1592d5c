// All that the commands print goes through here, so that no text from outside can steer the terminal.

import { printable } from '../shared/lib/printable.ts'

/** What is printed to: a terminal, a file or a pipe. */
export interface Output {
  readonly isTTY?: boolean | undefined
  write(text: string | Uint8Array): boolean
}

/** The styles that we use, as styleText writes them. */
const ESCAPE = '\u001b'
const STYLES = new RegExp(`(${ESCAPE}\\[(?:1|2|22|31|32|33|39)m)`)

/** Prints text for people. Ends of lines and tabs stay; what else could steer the terminal is escaped. */
export function print(text: string, to: Output = process.stdout): void {
  to.write(printable(text))
}

/** Prints text with styles of our own. Text from outside has to be plain already: its styles would pass. */
export function printStyled(text: string, to: Output = process.stdout): void {
  to.write(
    text
      .split(STYLES)
      .map((piece, at) => (at % 2 === 1 ? piece : printable(piece)))
      .join(''),
  )
}

/** Prints JSON text, or a value as JSON, and ends the line. Its reader reads the very same value. */
export function printJson(value: unknown, indent?: number): void {
  printJsonText(JSON.stringify(value, undefined, indent))
}

export function printJsonText(json: string): void {
  print(`${json}\n`)
}

/** Prints what went wrong, in the name of the program. A message may have several lines. */
export function printProblem(message: string): void {
  print(`promptbridge: ${message}\n`, process.stderr)
}

/** Draws a line over the last one on standard error, where that is a terminal; an empty text clears it. */
export function printStatus(text: string, to: Output = process.stderr): void {
  if (to.isTTY) to.write(`\r${printable(text)}\x1b[K`)
}

/** Passes data on as they are, unless they go to a terminal. */
export function printData(data: Uint8Array, to: Output = process.stdout): void {
  if (to.isTTY) print(`${new TextDecoder().decode(data)}\n`, to)
  else to.write(data)
}
