import { printable } from '../shared/lib/printable.ts'

/** Makes outside text safe to print within one line: ends of lines and tabs are blanks. */
export function plainText(text: string): string {
  return printable(text.replaceAll(/(\r?\n|\t)+/g, ' '))
}
