import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import type { Environment } from '../../shared/config/rules.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import type { Stores } from '../../shared/stores/open.ts'
import { canAsk, confirm } from '../confirm.ts'
import { ExitCode } from '../exit-codes.ts'
import { addHelpEnding } from '../help.ts'
import { listenForInterrupt } from '../interrupt.ts'
import { tokenNumber, wholeNumber } from '../option-values.ts'
import { addOutputOptions } from '../output-options.ts'
import { plainText } from '../plain-text.ts'
import { print, printJson, printNote, printStatus } from '../print.ts'
import { addStoreOptions, type StoreOptions, withStores } from '../with-stores.ts'
import { chosenLetters, countLetters, inGroups, requireChoice } from './chosen-letters.ts'
import { addLetterOptions, checkChoice, type LetterOptions } from './letter-options.ts'
import { type ReplayPlan, replayLetters } from './replay-letters.ts'

const MAX_PRINTED = 20

interface ReplayOptions extends StoreOptions, LetterOptions {
  readonly limit?: number
  readonly rate?: number
  readonly toModel?: string
  readonly maxOutputTokens?: number
  readonly tokenLimit?: number
  readonly includeReplayed?: true
  readonly force?: true
  readonly yes?: true
  readonly dryRun?: true
  readonly json?: true
}

interface Replayed {
  /** How many were published again, or would be in a dry run. */
  readonly replayed: number
  readonly skipped: Readonly<Record<string, number>>
}

/** `promptbridge dead-letters replay`: publishes the jobs again, each under its next run. */
export function replayCommand(environment: Environment): Command {
  const command = new Command('replay')
    .description('publish dead-lettered jobs again, except those that have succeeded or must be edited first')
    .argument(
      '[ids...]',
      'ids of letters as `list` prints them, or with --batch of jobs (default: all that match the options)',
    )
  return addOutputOptions(
    addHelpEnding(addStoreOptions(addLetterOptions(command)), {
      examples: [
        ['promptbridge dead-letters replay --reason no_deployment --dry-run', 'print what would be replayed'],
        [
          'promptbridge dead-letters replay --batch nightly --reason budget --token-limit 5000000',
          'raise the token limit and replay',
        ],
        [
          'promptbridge dead-letters replay --batch nightly --to-model gpt-4o-mini --rate 10',
          'use another model, ten each second',
        ],
      ],
      isInterruptible: true,
    }),
    'print the counts as JSON',
  )
    .option('--to-model <name>', 'use this model instead')
    .option('--max-output-tokens <n>', 'limit the answer to this many tokens', wholeNumber)
    .option('--token-limit <n>', 'set the token limit of the --batch to this number', tokenNumber)
    .option('--limit <n>', 'replay at most this many', wholeNumber)
    .option('--rate <n>', 'publish at most this many each second', wholeNumber)
    .option('--include-replayed', 'also replay those that were replayed before')
    .option('--force', 'also replay those that would fail again as they are, or failed in five runs')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'print what would be replayed, and publish nothing')
    .exitOverride()
    .action((ids: readonly string[], options: ReplayOptions) => {
      if (options.tokenLimit !== undefined && !options.batch) {
        command.error('error: --token-limit needs --batch')
      }
      return replay(ids, options, environment)
    })
}

async function replay(ids: readonly string[], options: ReplayOptions, environment: Environment): Promise<void> {
  const { batch, tokenLimit, dryRun = false, json, yes } = options
  requireChoice(ids, options)
  using interrupt = listenForInterrupt()
  const counts = await withStores('write', options, environment, async (stores, { jobsTopic: topic }) => {
    if (ids.length === 0) await checkChoice(stores, options)
    const letters = () => chosenLetters(stores, ids, options)
    // A script that replays is not stopped by a question.
    const isAsked = ids.length === 0 && !dryRun && !yes && canAsk()
    if (isAsked && !(await confirm(`Replay ${await countLetters(letters())} dead letters?`, false))) return undefined
    // First, because a job that runs before the limit is raised would be dead-lettered again.
    if (batch && tokenLimit !== undefined && !dryRun) await stores.batches.limitTokens(batch, tokenLimit, Date.now())
    return replayAll(letters(), stores, { ...planOf(options), topic }, options, interrupt.signal)
  })
  if (counts === undefined) return printNote('nothing was replayed')
  if (json) printJson({ dryRun, ...counts })
  else print(describe(counts, options))
  if (interrupt.signal.aborted) process.exitCode = ExitCode.interrupted
}

function planOf(options: ReplayOptions): Omit<ReplayPlan, 'topic'> {
  const { toModel, maxOutputTokens, includeReplayed = false, force = false, dryRun = false, status } = options
  return {
    rules: { includeReplayed: includeReplayed || status === 'replayed', force },
    changes: {
      ...(toModel !== undefined && { model: toModel }),
      ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    },
    dryRun,
    now: Date.now,
  }
}

async function replayAll(
  letters: AsyncIterable<DeadLetter>,
  stores: Stores,
  plan: ReplayPlan,
  { limit = Number.POSITIVE_INFINITY, rate }: ReplayOptions,
  signal: AbortSignal,
): Promise<Replayed> {
  const skipped: Record<string, number> = {}
  let [replayed, printed] = [0, 0]
  for await (const group of inGroups(letters, () => Math.min(limit - replayed, rate ?? Infinity))) {
    if (signal.aborted) break
    const results = await replayLetters(stores, group, plan)
    for (const [n, why] of results.entries()) {
      if (why === undefined) continue
      skipped[why] = (skipped[why] ?? 0) + 1
      printed += 1
      if (printed <= MAX_PRINTED) printNote(plainText(`${group[n]?.id} is skipped: ${why}`))
    }
    const published = results.filter((why) => why === undefined).length
    replayed += published
    if (replayed >= limit) break
    printStatus(`${replayed} replayed`)
    if (rate !== undefined && !plan.dryRun) await pause((published * 1_000) / rate, signal)
  }
  printStatus('')
  return { replayed, skipped }
}

/** Ends early if the command is interrupted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined)
}

function describe({ replayed, skipped }: Replayed, { dryRun }: ReplayOptions): string {
  const left = Object.entries(skipped).map(([why, count]) => `${String(count).padStart(6)} skipped: ${why}\n`)
  const would = dryRun ? ' would be replayed; nothing was published' : ' replayed'
  return `${replayed}${would}\n${left
    .map(plainText)
    .map((line) => `${line.trimEnd()}\n`)
    .join('')}`
}
