import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { readConfig } from '../../shared/config/config.ts'
import { settings } from '../../shared/config/schema.ts'

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')

/** The first two cells of every row of the settings table. */
const rows = [...readme.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|/gm)].map(([, name, cell]) => [name, cell?.trim()])

test('the README has a row for every setting, in the order of the schema, and for nothing else', () => {
  assert.deepEqual(
    rows.map(([name]) => name),
    Object.keys(settings.shape),
  )
})

/** Defaults that are read into something else. */
const written: Readonly<Record<string, string>> = { STORE: 'firestore', TOKEN_SOURCE: 'metadata-server' }

test('the README has the default of every setting that has one', () => {
  const defaults = Object.entries(settings.shape).flatMap(([name, schema]) => {
    const parsed = schema.safeParse(undefined)
    const value = written[name] ?? parsed.data
    return value === undefined ? [] : [[name, `\`${value}\``]]
  })
  assert.ok(defaults.length > 10)
  for (const [name, value] of defaults) assert.deepEqual([name, rows.find(([row]) => row === name)?.[1]], [name, value])
})

test('the README marks each setting that cannot be left out as required', () => {
  const required = Object.entries(settings.shape).filter(([, schema]) => !schema.safeParse(undefined).success)
  assert.ok(required.length > 0)
  for (const [name] of required) assert.equal(rows.find(([row]) => row === name)?.[1], 'required', name)
})

test('the settings file the README shows is enough to start with', () => {
  const [, file = ''] = /```sh\n(GOOGLE_CLOUD_PROJECT=[\s\S]+?)```/.exec(readme) ?? []
  assert.equal(readConfig(parseEnv(file)).store.kind, 'firestore')
})
