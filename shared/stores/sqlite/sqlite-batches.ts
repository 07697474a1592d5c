import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { whenFree } from '../../lib/sqlite.ts'
import {
  type BatchOrigin,
  type BatchReader,
  type BatchStore,
  isUnfinished,
  storedBatch,
  type UnfinishedBatches,
} from '../batch-store.ts'
import { jsonText } from './json-text.ts'
import { lazily } from './lazily.ts'
import { laterColumns, named, openTables, type Schema, type SchemaExtent } from './open-tables.ts'
import { translated } from './translated.ts'

const BATCHES = `
  CREATE TABLE promptBatches (
    name TEXT PRIMARY KEY,
    createdAt INTEGER NOT NULL,
    total INTEGER,
    completedAt INTEGER,
    cancelledAt INTEGER,
    tokenLimit INTEGER,
    sweptAt INTEGER,
    totals TEXT
  ) STRICT
`

const LATER_COLUMNS = {
  cancelledAt: 'INTEGER',
  tokenLimit: 'INTEGER',
  sweptAt: 'INTEGER',
  totals: 'TEXT',
  sealedAt: 'INTEGER',
  activeAt: 'INTEGER',
  deferredAt: 'INTEGER',
  incompleteAt: 'INTEGER',
  incompleteTotal: 'INTEGER',
  leftOutLimit: 'INTEGER',
  fingerprint: 'TEXT',
  source: 'TEXT',
  linked: 'INTEGER',
} as const

/** The time of the sweep's last check of a batch. */
const LOOKED_AT = 'MAX(IFNULL(sweptAt, 0), IFNULL(deferredAt, 0))'
/** The last release seals a batch again, or limits it again, and leaves in place how it ended before. */
const UNFINISHED = `completedAt IS NULL
  AND ((total IS NOT NULL AND total IS NOT incompleteTotal)
    OR (total IS NULL AND tokenLimit IS NOT NULL AND tokenLimit IS NOT leftOutLimit))`

const schema: Schema = {
  tables: [named('promptBatches', BATCHES), laterColumns('promptBatches', LATER_COLUMNS)],
  indexes: [
    named(
      'promptBatchesUnfinished',
      `CREATE INDEX promptBatchesUnfinished ON promptBatches (${LOOKED_AT}, name) WHERE ${UNFINISHED}`,
    ),
  ],
}

/** Keeps batches in the file that holds the records. Rejects with StoreError. */
export function openSqliteBatches(
  path: string,
  extent: SchemaExtent = 'whole',
): Promise<BatchStore & UnfinishedBatches & { close(): void }> {
  return openTables(path, schema, extent, batchTable)
}

function batchTable(db: DatabaseSync): BatchStore & UnfinishedBatches {
  const insert = db.prepare(
    `INSERT INTO promptBatches (name, createdAt, fingerprint, source)
    VALUES (:name, :now, :fingerprint, :source) ON CONFLICT (name) DO NOTHING`,
  )
  const seal = db.prepare(`UPDATE promptBatches SET total = :total, sealedAt = :now, completedAt = NULL,
    linked = IFNULL(:linked, linked), incompleteAt = NULL, incompleteTotal = NULL WHERE name = :name`)
  const complete = db.prepare(`UPDATE promptBatches SET completedAt = :at WHERE name = :name AND total = :total
    AND ${UNFINISHED}`)
  const giveUp = db.prepare(`UPDATE promptBatches SET incompleteAt = :at, incompleteTotal = :total WHERE name = :name
    AND total = :total AND ${UNFINISHED}`)
  const leaveOut = db.prepare(`UPDATE promptBatches SET leftOutLimit = tokenLimit WHERE name = :name AND total IS NULL
    AND tokenLimit IS :tokenLimit AND activeAt IS :activeAt`)
  const defer = db.prepare('UPDATE promptBatches SET deferredAt = ? WHERE name = ?')
  const cancel = db.prepare('UPDATE promptBatches SET cancelledAt = ? WHERE name = ?')
  const limit = db.prepare(`UPDATE promptBatches SET tokenLimit = :tokenLimit, activeAt = :now, completedAt = NULL,
    incompleteAt = NULL, incompleteTotal = NULL, leftOutLimit = NULL WHERE name = :name`)
  const note = db.prepare(`UPDATE promptBatches SET sweptAt = :sweptAt, activeAt = :activeAt, deferredAt = NULL,
    totals = :totals WHERE name = :name`)
  const unfinished = db.prepare(`SELECT *, ${LOOKED_AT} AS lookedAt FROM promptBatches WHERE ${UNFINISHED}
    AND (${LOOKED_AT}, name) > (:lookedAt, :name) ORDER BY ${LOOKED_AT}, name LIMIT :limit`)
  const open = (name: string, now: number, { fingerprint, source }: BatchOrigin = {}) =>
    insert.run({ name, now, fingerprint: fingerprint ?? null, source: source ?? null })
  const write = async (work: () => unknown) => {
    await translated(() => whenFree(work))
  }
  return {
    open: (name, now, origin) => write(() => open(name, now, origin)),
    seal: (name, total, now, linked) => write(() => seal.run({ name, total, now, linked: linked ?? null })),
    end: (name, { as, ...ending }) => write(() => (as === 'completed' ? complete : giveUp).run({ name, ...ending })),
    cancel: (name, now) =>
      write(() => {
        open(name, now)
        cancel.run(now, name)
      }),
    limitTokens: (name, tokenLimit, now) =>
      write(() => {
        open(name, now)
        limit.run({ name, tokenLimit, now })
      }),
    ...readSqliteBatches(db),
    async *unfinished(limit) {
      let after: Place | undefined = { lookedAt: -1, name: '' }
      while (after !== undefined) {
        const asked: Record<string, string | number> = { ...after, limit }
        const rows = await translated(() => whenFree(() => unfinished.all(asked)))
        yield rows.flatMap((row) => batchRow.safeParse(row).data ?? []).filter(isUnfinished)
        after = rows.length < limit ? undefined : placeRow.parse(rows.at(-1))
      }
    },
    note: (name, { sweptAt, activeAt = null, ...totals }) =>
      write(() => note.run({ name, sweptAt, activeAt, totals: JSON.stringify(totals) })),
    defer: (name, now) => write(() => defer.run(now, name)),
    leaveOut: ({ name, tokenLimit = null, activeAt = null }) =>
      write(() => leaveOut.run({ name, tokenLimit, activeAt })),
  }
}

/** Reads batches from a file that may be open for reading alone. */
export function readSqliteBatches(db: DatabaseSync): BatchReader {
  const one = lazily(db, 'SELECT * FROM promptBatches WHERE name = ?')
  const newest = lazily(db, 'SELECT * FROM promptBatches ORDER BY createdAt DESC, rowid DESC LIMIT ?')
  return {
    read: (name) => translated(() => whenFree(() => batchRow.optional().parse(one()?.get(name)))),
    list: (limit) =>
      translated(() =>
        whenFree(() => (newest()?.all(limit) ?? []).flatMap((row) => batchRow.safeParse(row).data ?? [])),
      ),
  }
}

/** Malformed totals count as absent, because the next sweep counts again. */
const totals = jsonText.nullable().catch(null)
const batchRow = z
  .looseObject({ totals, sweptAt: z.unknown(), incompleteAt: z.unknown(), incompleteTotal: z.unknown() })
  .transform(({ totals, incompleteAt: at, incompleteTotal: total, ...row }): unknown => ({
    ...(typeof totals === 'object' ? totals : {}),
    ...row,
    incomplete: { at, total },
  }))
  .pipe(storedBatch)
const placeRow = z.object({ lookedAt: z.number(), name: z.string() })
type Place = z.infer<typeof placeRow>
