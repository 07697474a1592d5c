import { z } from 'zod'
import type { StoreConfig } from '../config/config.ts'
import { firestoreDatabase } from '../config/setting-values.ts'
import { defined } from '../lib/defined.ts'
import type { BatchCounts } from './types.ts'

/** A longer timer fires at once. */
const MAX_TIMER_MS = 2_147_483_647

const missing = ({ input }: { input?: unknown }) => (input === undefined ? 'is missing' : undefined)
const text = z.string({ error: missing }).trim().min(1, 'is empty')

const sqlitePlace = z.strictObject({
  store: text.regex(/^sqlite:.+$/s, 'must be sqlite:PATH'),
  topic: text.optional(),
})
const googlePlace = z.strictObject({
  project: text,
  database: firestoreDatabase.optional(),
  topic: text.optional(),
})

interface CheckedPlace {
  readonly store: StoreConfig
  readonly topic: string
}

/** Reads where jobs and results are. Throws a TypeError that names the function, the argument and what is wrong. */
export function checkPlace(caller: string, place: unknown): CheckedPlace {
  const isSqlite = typeof place === 'object' && place !== null && 'store' in place
  if (isSqlite) {
    const { store, topic } = check(caller, sqlitePlace, place)
    return { store: { kind: 'sqlite', path: store.slice('sqlite:'.length) }, ...withTopic(topic) }
  }
  const { project, database, topic } = check(caller, googlePlace, place)
  return { store: { kind: 'firestore', project, ...defined({ database }) }, ...withTopic(topic) }
}

function withTopic(topic = 'promptbridge-jobs') {
  return { topic }
}

const submitOptions = z.strictObject({
  batch: text.max(128).optional(),
  tokenLimit: z.int().min(1).optional(),
  resubmit: z.boolean().optional(),
})

export function checkSubmit(jobs: unknown, options: unknown): z.infer<typeof submitOptions> {
  if (!Array.isArray(jobs)) throw new TypeError('submitAll: jobs is not an array')
  const checked = check('submitAll', submitOptions, options)
  if (checked.batch === undefined && (checked.tokenLimit !== undefined || checked.resubmit !== undefined)) {
    throw new TypeError('submitAll: tokenLimit and resubmit need batch')
  }
  return checked
}

const waitOptions = z.strictObject({
  signal: z.instanceof(AbortSignal).optional(),
  timeoutMs: z.number().min(0).max(MAX_TIMER_MS).optional(),
  everyMs: z.number().min(10).max(MAX_TIMER_MS).optional(),
  onCounts: z.custom<(counts: BatchCounts) => void>((value) => typeof value === 'function').optional(),
})

export function checkWait(options: unknown): z.infer<typeof waitOptions> {
  return check('wait', waitOptions, options)
}

/** Returns the text. Throws a TypeError otherwise. */
export function checkText(caller: string, name: string, value: unknown): string {
  return check(caller, z.object({ [name]: text }), { [name]: value })[name] ?? ''
}

function check<T extends z.ZodType>(caller: string, schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the argument'} ${sayIssue(issue)}`)
  throw new TypeError(`${caller}: ${problems.join('; ')}`)
}

function sayIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `has no field ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
  return issue.code === 'invalid_type' ? issue.message.replace(/^Invalid input: expected /, 'must be ') : issue.message
}
