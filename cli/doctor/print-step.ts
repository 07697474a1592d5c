import { styleText } from 'node:util'
import { plainText } from '../plain-text.ts'
import type { Step } from './step.ts'

/** One line for a step, followed by how to fix it. Coloured only on a terminal. */
export function describeStep({ step, ok, seen, expected, fix }: Step): string {
  const lines = [`${markOf({ ok, fix })} ${styleText('bold', plainText(step))}  ${plainText(seen)}\n`]
  if (expected !== null) lines.push(`    expected  ${plainText(expected)}\n`)
  const [first, ...others] = fix?.split('\n') ?? []
  if (first !== undefined) lines.push(`    to do     ${plainText(first)}\n`)
  for (const other of others) lines.push(`              ${plainText(other)}\n`)
  return lines.join('')
}

function markOf({ ok, fix }: Pick<Step, 'ok' | 'fix'>): string {
  if (ok === null) return fix === null ? '–' : styleText('yellow', '!')
  return ok ? styleText('green', '✓') : styleText('red', '✗')
}

/** The last line, preceded by the warnings. */
export function describeVerdict(steps: readonly Step[]): string {
  const named = (found: readonly Step[]) => found.map(({ step }) => plainText(step)).join(', ')
  const warnings = steps.filter(({ ok, fix }) => ok === null && fix !== null)
  const failed = steps.filter(({ ok }) => ok === false)
  const warning = warnings.length === 0 ? '' : `\n${styleText('yellow', `Check: ${named(warnings)}.`)}\n`
  if (failed.length > 0) return `${warning}\n${styleText('red', `To fix: ${named(failed)}.`)}\n`
  if (warnings.length > 0) return `${warning}\n${styleText('green', 'All other checks passed.')}\n`
  return `\n${styleText('green', 'All checks passed.')}\n`
}
