import type { TokenLeg } from '../../shared/job/token-leg.ts'
import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { instant } from '../instant.ts'
import { plainText } from '../plain-text.ts'

const LEGS: Readonly<Record<TokenLeg, string>> & Readonly<Record<string, string>> = {
  google_id_token: 'Google gave no ID token',
  entra_exchange: 'Entra gave no access token for the ID token',
  azure_refused: 'Azure refused the access token',
  azure_cli: 'the Azure CLI gave no access token',
}

const KINDS: Readonly<Record<string, string>> = {
  passing: 'passing: it may end without a change',
  configuration: 'configuration: it must be fixed',
}

/**
 * One episode for people: a block of lines, the last one ended. `tokenAt`: when an instance had a good token last, in epoch
 * milliseconds. An instance that ended during an episode never records its end.
 */
export function describeFailure(failure: TokenFailure, tokenAt?: number): string {
  const { leg, kind, deployment, tries, jobsHeld, tokenValidForMs, instance, presented, hint } = failure
  const where = deployment === undefined ? (LEGS[leg] ?? leg) : `Azure refused requests to deployment ${deployment}`
  const lines = [
    period(failure, tokenAt),
    `kind      ${KINDS[kind] ?? kind}`,
    `where     ${where}`,
    `seen      ${seen(failure)}`,
    `cost      ${counted(tries, 'try', 'tries')}, ${counted(jobsHeld, 'job', 'jobs')} held`,
    `instance  ${[instance.service, instance.revision, instance.id].filter(Boolean).join(' / ')}`,
  ]
  if (tokenValidForMs > 0) lines.push(`token     the token in use was valid for another ${inWords(tokenValidForMs)}`)
  if (presented !== undefined) {
    const { issuer, subject, audience } = presented
    lines.push('Entra received', `  issuer    ${issuer}`, `  subject   ${subject}`, `  audience  ${audience}`)
  }
  lines.push(`to do     ${hint}`)
  return lines.map((line) => `${plainText(line)}\n`).join('')
}

function period({ firstAt, lastAt, nextTryAt, resolvedAt }: TokenFailure, tokenAt = 0): string {
  if (resolvedAt !== undefined) return `${instant(firstAt)} until ${instant(resolvedAt)}`
  if (tokenAt > lastAt) {
    return `${instant(firstAt)}, last try ${instant(lastAt)}; an instance had a good token at ${instant(tokenAt)}`
  }
  // There is no timer. The first job after this time causes the next try.
  return `${instant(firstAt)}, still failing: last try ${instant(lastAt)}, next from ${instant(nextTryAt)} on`
}

function seen({ message, httpStatus, code, aadsts = [], correlationId }: TokenFailure): string {
  const codes = [httpStatus, code, ...aadsts.map((number) => `AADSTS${number}`)].filter((part) => part !== undefined)
  // The message may contain them already.
  const more = codes.filter((part) => !message.includes(String(part))).join(' ')
  const reference = correlationId === undefined ? '' : `correlation id ${correlationId}`
  const beside = [more, reference].filter(Boolean).join(', ')
  return beside === '' ? message : `${message} (${beside})`
}

function inWords(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}

function counted(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
