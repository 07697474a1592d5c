import { printable } from '../shared/lib/printable.ts'

/** Makes outside text safe to print within one line: line ends and tabs become spaces. */
export function plainText(text: string): string {
  return printable(text.replaceAll(/(\r?\n|\t)+/g, ' '))
}
