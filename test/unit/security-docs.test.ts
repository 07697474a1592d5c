import assert from 'node:assert/strict'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { z } from 'zod'
import { openWorkerStores } from '../../shared/stores/open.ts'
import { tokenFailureKind, workerInstanceKind } from '../../shared/stores/telemetry-documents.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const docs = read('docs/security.md')
const policy = read('SECURITY.md')

const section = (heading: string) => docs.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
/** What stands in backticks in the first cell of each row. */
const stored = new Set(
  [...section('What is stored').matchAll(/^\|([^|]+)\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  ),
)

const named = z.array(z.object({ collectionGroup: z.string() }))
const indexes = z.object({ indexes: named, fieldOverrides: named })

test('storage table: it has every collection of Firestore', () => {
  const { indexes: composite, fieldOverrides } = indexes.parse(JSON.parse(read('deploy/firestore.indexes.json')))
  const declared = [...composite, ...fieldOverrides].map(({ collectionGroup }) => collectionGroup)
  // Constants that stand first in a document's path.
  const sources = globSync('shared/stores/firestore/*.ts', { cwd: ROOT }).map(read)
  const written = sources.flatMap((source) =>
    [...source.matchAll(/\$\{(?:\w+\.)?root\}\/\$\{([A-Z]+)\}/g)].map(([, constant]) => {
      const [, name] = new RegExp(`^const ${constant} = '(\\w+)[/']`, 'm').exec(source) ?? []
      return name ?? `${constant}: not found`
    }),
  )
  assert.ok(written.length >= 5, `${written}`)
  const names = new Set([...declared, ...written, tokenFailureKind.collection, workerInstanceKind.collection])
  for (const name of names) assert.ok(stored.has(name), name)
})

test('storage table: it has every table of a SQLite file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'security-docs-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'store.sqlite')
  const emulators = { firestore: undefined, pubsub: undefined }
  const stores = await openWorkerStores({ kind: 'sqlite', path }, { now: () => 0, emulators })
  await stores.close()
  using db = new DatabaseSync(path)
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").all()
  assert.ok(tables.length >= 10)
  for (const { name } of z.array(z.object({ name: z.string() })).parse(tables)) assert.ok(stored.has(name), name)
})

for (const list of ['LLM', 'API']) {
  test(`OWASP ${list}: each of the ten has one row, in order`, () => {
    const rows = [...docs.matchAll(new RegExp(`^\\| (${list}\\d+) `, 'gm'))].map(([, id]) => id)
    const ids = Array.from({ length: 10 }, (_, n) => `${list}${String(n + 1).padStart(list === 'LLM' ? 2 : 1, '0')}`)
    assert.deepEqual(rows, ids)
  })
}

test('every file that the security documents name is there', () => {
  const paths = [...`${docs}${policy}`.matchAll(/`([\w.-]+\/[\w./-]*|Dockerfile)`/g)].map(([, path = '']) => path)
  const ours = paths.filter((path) => !path.startsWith('roles/') && path !== '.promptbridge/')
  assert.ok(ours.length > 20)
  for (const path of ours) assert.ok(existsSync(join(ROOT, path)), path)
})
