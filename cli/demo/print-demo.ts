import { styleText } from 'node:util'
import type { JobRecord } from '../../shared/job/record.ts'
import type { JobReader } from '../../shared/stores/job-store.ts'
import { invocation } from '../installation.ts'
import type { Accounts } from './account.ts'
import { FILTERED_ID } from './demo-jobs.ts'
import type { DemoState } from './demo-state.ts'
import type { Document } from './documents.ts'
import { printAccounts } from './print-accounts.ts'
import { printFailures, printSummary } from './print-samples.ts'

export interface DemoOutcome {
  readonly accounts: Accounts & { readonly kills?: number }
  readonly documents: readonly Document[]
  readonly records: readonly JobRecord[]
  readonly reader: JobReader
  readonly batch: string
  /** For `--store`; undefined if the jobs end with the demo. */
  readonly store: string | undefined
  readonly results: string
}

export function introduction(
  { batch: { name: batch }, goesOn, replaces }: Pick<DemoState, 'batch' | 'goesOn' | 'replaces'>,
  { emulators = false, kill = false }: { readonly emulators?: boolean; readonly kill?: boolean },
): string {
  const begun = goesOn
    ? `Continues ${batch}, which was stopped.`
    : `${batch}: a summary of each README below node_modules.`
  const parts = emulators
    ? "Pub/Sub and Firestore are Google's own emulators; Entra and Azure OpenAI are stand-ins on this machine."
    : 'Pub/Sub, Entra and Azure OpenAI are stand-ins on this machine.'
  return `
${styleText('bold', 'Promptbridge demo')}  ${begun}
  The worker and the protocols are real. ${parts}
  They fail on purpose: 5 % of the messages are delivered twice, and Entra and the model fail now and then, the
  model before or after the call was paid.${kill ? KILLED : ''}${replaces === undefined ? '' : `\n  The jobs of the last demo, ${replaces}, are deleted. To keep them, use another --folder.`}

`
}

const KILLED = '\n  The worker is killed every few seconds, even during a job, and started again.'

export function stopping(): string {
  return '\n  Stopping: running jobs are finished or released.\n'
}

/** A demo goes on if all its jobs were published, and are kept. */
export function stopped(goesOn: boolean): string {
  return goesOn ? '  Stopped. Start the demo again to continue.\n\n' : '  Stopped.\n\n'
}

/** The output of a finished demo. */
export async function describeDemo({
  accounts,
  documents,
  records,
  reader,
  batch,
  store,
  results,
}: DemoOutcome): Promise<string> {
  const { problems, kills } = accounts
  const verdict =
    problems.length === 0
      ? styleText('green', '  ✓ Every job is accounted for, and none was paid for twice beyond the unknown outcomes.\n')
      : problems.map((problem) => styleText('red', `  ✗ ${problem}\n`)).join('')
  return `
${printAccounts(accounts)}${kills === undefined ? '' : `  The worker was killed ${kills} times.\n`}
${verdict}
${section('One summary beside its source')}${await printSummary(documents, records, reader)}
  (The stand-in for the model picks sentences from the document; a real model would write its own.)

${section('Two jobs that failed on purpose')}${printFailures(records)}
${section('Results')}  ${results}, in the format of an OpenAI Batch output file

${section('Try next')}${tryNext(batch, store)}
`
}

function tryNext(batch: string, store: string | undefined): string {
  const first =
    store === undefined
      ? `${invocation()} demo`
      : `${invocation()} show ${quoted(FILTERED_ID)} --batch ${batch} --store ${quoted(store)}`
  return `  ${first}
  ${invocation()} demo --documents 40
      press Ctrl-C while it runs, then start it again
`
}

function section(title: string): string {
  return `${styleText('bold', title)}\n`
}

/** Quoted for a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
