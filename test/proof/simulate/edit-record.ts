import type { Random } from '../support/seeded-random.ts'
import type { Fields } from './fake-database.ts'
import { plainFields } from './stored-values.ts'

type Edit = (random: Random, fields: Fields) => Fields | undefined

/** Without one of them a record holds too little to act on. */
const ESSENTIAL: Readonly<Record<string, string>> = {
  ...{ key: 'string', id: 'string', batch: 'string', url: 'string', run: 'number', payloadHash: 'string' },
  attempts: 'object',
}
const STATUSES = ['running', 'waiting', 'succeeded', 'dead_lettered', 'cancelled', 'expired']

/** Whether a record holds enough to act on it. */
export function isReadable(fields: Fields): boolean {
  const plain = plainFields(fields)
  const isCancelled = plain['status'] === 'cancelled'
  const isThere = (name: string) => typeof plain[name] === ESSENTIAL[name]
  const needed = Object.keys(ESSENTIAL).filter((name) => !isCancelled || !['url', 'payloadHash'].includes(name))
  return STATUSES.includes(String(plain['status'])) && needed.every(isThere)
}

/** The edits that a person makes to a record in Firestore's console. */
const edits: Readonly<Record<string, Edit>> = {
  'sets a field to null': (random, fields) => {
    const name = random.pick(Object.keys(fields))
    return { ...fields, [name]: { nullValue: 'NULL_VALUE' } }
  },
  'removes a field': (random, fields) => {
    const name = random.pick(Object.keys(fields))
    return Object.fromEntries(Object.entries(fields).filter(([other]) => other !== name))
  },
  'makes a number a double': (random, fields) => {
    const names = ['run', 'leaseMs', 'waitMs'].filter((name) => fields[name]?.integerValue !== undefined)
    if (names.length === 0) return undefined
    const name = random.pick(names)
    const value = Number(fields[name]?.integerValue)
    return { ...fields, [name]: { doubleValue: name === 'run' ? value : value + 0.4 } }
  },
  'sets an unknown status': (_, fields) => ({ ...fields, status: { stringValue: 'paused' } }),
  'sets an unknown outcome': (_, fields) => {
    const attempts = fields['attempts']?.arrayValue?.values ?? []
    const last = attempts.at(-1)?.mapValue?.fields
    if (!last) return undefined
    const changed = { mapValue: { fields: { ...last, outcome: { stringValue: 'of a later version' } } } }
    return { ...fields, attempts: { arrayValue: { values: [...attempts.slice(0, -1), changed] } } }
  },
  'counts an unknown failure': (_, fields) => {
    const counted = fields['uncounted']?.mapValue?.fields ?? {}
    return { ...fields, uncounted: { mapValue: { fields: { ...counted, of_a_later_version: { integerValue: 1 } } } } }
  },
  'sets an unknown reason': (_, fields) => {
    const error = fields['error']?.mapValue?.fields
    if (!error) return undefined
    return { ...fields, error: { mapValue: { fields: { ...error, kind: { stringValue: 'of_a_later_version' } } } } }
  },
}

/** Draws an edit of a record, and says what it is; undefined where it changes nothing. */
export function editRecord(
  random: Random,
  fields: Fields,
): { readonly what: string; readonly fields: Fields } | undefined {
  const [what, edit] = random.pick(Object.entries(edits))
  const edited = edit(random, fields)
  return edited && { what, fields: edited }
}
