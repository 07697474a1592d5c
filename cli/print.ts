// All output of the commands goes through here, so that no outside text can control the terminal.

import { printable } from '../shared/lib/printable.ts'

/** What is printed to: a terminal, a file or a pipe. */
export interface Output {
  readonly isTTY?: boolean | undefined
  write(text: string | Uint8Array): boolean
}

/** The styles that we use, as styleText writes them. */
const ESCAPE = '\u001b'
const STYLES = new RegExp(`(${ESCAPE}\\[(?:1|2|22|31|32|33|39)m)`)

/** Prints text for people. Line ends and tabs stay; other control characters are escaped. */
export function print(text: string, to: Output = process.stdout): void {
  to.write(printable(text))
}

/** Prints text with our own styles. Outside text must be plain already, because styles are not escaped. */
export function printStyled(text: string, to: Output = process.stdout): void {
  to.write(
    text
      .split(STYLES)
      .map((piece, at) => (at % 2 === 1 ? piece : printable(piece)))
      .join(''),
  )
}

/** Prints JSON text, or a value as JSON, and ends the line. A parser reads the same value. */
export function printJson(value: unknown, indent?: number): void {
  printJsonText(JSON.stringify(value, undefined, indent))
}

export function printJsonText(json: string): void {
  print(`${json}\n`)
}

/** Prints an error message after the name of the program. It may have several lines. */
export function printProblem(message: string): void {
  print(`promptbridge: ${message}\n`, process.stderr)
}

/** Set for the whole command by --quiet. */
let areNotesOff = false

/** The notes that this command has printed. */
const printed = new Set<string>()

/** Called when a command begins. */
export function keepNotesOff(isQuiet: boolean): void {
  areNotesOff = isQuiet
  printed.clear()
}

/** Prints a note on standard error that is neither the result nor an error, such as which store is used. The same note only once. */
export function printNote(text: string): void {
  if (areNotesOff || printed.has(text)) return
  printed.add(text)
  print(`${text}\n`, process.stderr)
}

/** Replaces the last line on standard error if that is a terminal. An empty text clears it. */
export function printStatus(text: string, to: Output = process.stderr): void {
  if (to.isTTY && !areNotesOff) to.write(`\r${printable(text)}\x1b[K`)
}

/** Writes data unchanged, unless the output is a terminal. */
export function printData(data: Uint8Array, to: Output = process.stdout): void {
  if (to.isTTY) print(`${new TextDecoder().decode(data)}\n`, to)
  else to.write(data)
}
