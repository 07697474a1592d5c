import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { readConfig } from '../../shared/config/config.ts'
import { settings } from '../../shared/config/schema.ts'
import { generatedDocs, generatedPart } from '../support/generated-docs.ts'

for (const { path, text } of generatedDocs()) {
  test(`docs/${basename(path)}: it is as the code has it (npm run docs)`, () => {
    assert.equal(readFileSync(path, 'utf8'), text)
  })
}

test('docs/cli.md: a heading for each command that has no commands of its own', () => {
  const headings = [...generatedPart('cli.md').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  assert.ok(headings.length >= 12)
  for (const name of ['submit', 'dead-letters replay', 'token failures', 'doctor']) assert.ok(headings.includes(name))
})

const page = readFileSync(join(import.meta.dirname, '../../docs/settings.md'), 'utf8')

/** The first two cells of every row of the settings table. */
const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|/gm)].map(([, name, cell]) => [name, cell?.trim()])

test('docs/settings.md: a row for every setting, in the order of the schema, and for nothing else', () => {
  assert.deepEqual(
    rows.map(([name]) => name),
    Object.keys(settings.shape),
  )
})

/** Defaults that are read into something else. */
const written: Readonly<Record<string, string>> = { STORE: 'firestore', TOKEN_SOURCE: 'metadata-server' }

test('docs/settings.md: the default of every setting that has one', () => {
  const defaults = Object.entries(settings.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(undefined)
    const value = written[name] ?? parsed.data
    return value === undefined ? [] : [[name, `\`${value}\``]]
  })
  assert.ok(defaults.length > 10)
  for (const [name, value] of defaults) assert.deepEqual([name, rows.find(([row]) => row === name)?.[1]], [name, value])
})

test('docs/settings.md: each setting that cannot be left out is required', () => {
  const required = Object.entries(settings.shape).filter(([, schema]) => !schema.safeParse(undefined).success)
  assert.ok(required.length > 0)
  for (const [name] of required) assert.equal(rows.find(([row]) => row === name)?.[1], 'required', name)
})

test('docs/settings.md: its settings file is enough to start with', () => {
  const [, file = ''] = /```sh\n(GOOGLE_CLOUD_PROJECT=[\s\S]+?)```/.exec(page) ?? []
  assert.equal(readConfig(parseEnv(file)).store.kind, 'firestore')
})
