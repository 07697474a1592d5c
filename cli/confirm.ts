import { createInterface } from 'node:readline/promises'
import { MisuseError } from './exit-codes.ts'

/** Whether a question can be answered. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true
}

/** Asks on standard error, so that standard output has the result alone. Without a terminal, --yes must be given. */
export async function confirm(question: string, isAnswered: boolean): Promise<boolean> {
  if (isAnswered) return true
  if (!canAsk()) throw new MisuseError('without a terminal this is not asked; give --yes')
  const line = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await line.question(`${question} [y/N] `)).trim())
  } finally {
    line.close()
  }
}
