import { styleText } from 'node:util'
import { describeFailure } from '../token/describe-failure.ts'
import type { Break } from './breaks.ts'
import type { ScenarioResult } from './judge-break.ts'

export function describeBreak(name: string, { story }: Break, jobs: number): string {
  return `
${styleText('bold', `Promptbridge demo --break ${name}`)}  ${story}
  ${jobs} jobs are submitted, and the worker runs for a few seconds. The worker is the real one. Pub/Sub, Entra and
  Azure OpenAI are stand-ins on this machine, which check their requests.

`
}

/** The whole result. */
export function describeResult(broken: Break, found: ScenarioResult, problems: readonly string[]): string {
  const { jobs, waiting, deadLettered, paidCalls, exchanges, failures, doctor } = found
  const lost = jobs - waiting - deadLettered
  const verdict =
    problems.length === 0
      ? styleText('green', `  ✓ ${VERDICT}\n`)
      : problems.map((problem) => styleText('red', `  ✗ ${problem}\n`)).join('')
  return `${section('Accounts')}  jobs           ${jobs}: ${lost} lost, ${deadLettered} dead-lettered, ${waiting} waiting
  model calls    ${paidCalls} paid
  Entra          ${exchanges} requests for a token

${section('promptbridge token failures')}${failures.length === 0 ? `  none: ${whyNone(broken)}\n` : indent(failures.map(describeFailure).join('\n'))}
${section("promptbridge doctor, with the worker's settings")}${indent(doctor.output)}
${verdict}
`
}

const VERDICT = 'No job is lost, none is dead-lettered, and the doctor reports the fault and how to fix it.'

function whyNone({ isRefusedAtStart }: Break): string {
  return isRefusedAtStart ? 'the worker does not start, so it requested no token' : 'no token failed'
}

function section(title: string): string {
  return `${styleText('bold', title)}\n`
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}
