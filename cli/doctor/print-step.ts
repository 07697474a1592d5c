import { styleText } from 'node:util'
import { plainText } from '../plain-text.ts'
import type { Step } from './step.ts'

/** One line for a step, and below it what mends it. Coloured on a terminal alone. */
export function printStep({ step, ok, seen, expected, mend }: Step): string {
  const lines = [`${markOf(ok)} ${styleText('bold', plainText(step))}  ${plainText(seen)}\n`]
  if (expected !== null) lines.push(`    expected  ${plainText(expected)}\n`)
  const [first, ...others] = mend?.split('\n') ?? []
  if (first !== undefined) lines.push(`    to do     ${plainText(first)}\n`)
  for (const other of others) lines.push(`              ${plainText(other)}\n`)
  return lines.join('')
}

function markOf(ok: Step['ok']): string {
  if (ok === null) return '–'
  return ok ? styleText('green', '✓') : styleText('red', '✗')
}

/** The last line. */
export function printVerdict(steps: readonly Step[]): string {
  const failed = steps.filter(({ ok }) => ok === false).map(({ step }) => plainText(step))
  if (failed.length === 0) return `\n${styleText('green', 'Everything that was looked at is as it should be.')}\n`
  return `\n${styleText('red', `To be mended: ${failed.join(', ')}.`)}\n`
}
