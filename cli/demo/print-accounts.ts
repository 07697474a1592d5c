import { styleText } from 'node:util'
import type { Accounts } from './account.ts'

/** The accounts as a table for people. */
export function printAccounts(accounts: Accounts): string {
  const { addedLatencyMs: added } = accounts
  const rows: [string, string, string][] = [
    ['jobs', number(accounts.jobs), 'submitted to the jobs topic'],
    ['  succeeded', number(accounts.succeeded), 'an answer in the record'],
    ['  dead-lettered', number(accounts.deadLettered), 'a reason in the record, the message kept as a dead letter'],
    ['deliveries', number(accounts.pushes), `pushes by Pub/Sub; ${accounts.deferred} deferred until later`],
    ['  duplicates', number(accounts.duplicates), 'messages that were sent twice on purpose'],
    ['model calls', number(accounts.modelCalls), `${accounts.paidCalls} paid, ${accounts.throttledCalls} throttled`],
    [
      '  unknown',
      number(accounts.unknownOutcomes),
      'sent, and the answer was lost: it is unknown whether it was billed',
    ],
    ['token exchanges', number(accounts.tokenExchanges), `with Entra; ${accounts.failedExchanges} more failed`],
    [
      'tokens',
      number(accounts.promptTokens + accounts.completionTokens),
      `${number(accounts.promptTokens)} in, ${number(accounts.completionTokens)} out`,
    ],
    [
      'added latency',
      added === undefined ? '–' : `${added.p50} ms`,
      `median; p95 ${added?.p95 ?? '–'} ms, beside the model's own time`,
    ],
  ]
  const [name, figure] = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      ([label, value, note]) =>
        `  ${label.padEnd(name ?? 0)}  ${value.padStart(figure ?? 0)}  ${styleText('dim', note)}\n`,
    )
    .join('')
}

function number(value: number): string {
  return value.toLocaleString('en')
}
