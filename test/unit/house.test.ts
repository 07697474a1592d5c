import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { z } from 'zod'

const ROOT = join(import.meta.dirname, '../..')
const BIOME = join(ROOT, 'node_modules/.bin/biome')

const folder = mkdtempSync(join(tmpdir(), 'house-'))
after(() => rmSync(folder, { recursive: true }))

/** Files that break a rule, by their path; each with what it says and the rule that must report it. */
const planted: Readonly<Record<string, readonly [string, string]>> = {
  'shared/job/hash.ts': ["import 'node:crypto'", 'noRestrictedImports'],
  'shared/job/sdk.ts': ["import 'openai'", 'noRestrictedImports'],
  'shared/job/store.ts': ["import '../store/port.ts'", 'noRestrictedImports'],
  'shared/job/type.ts': ["import type { x } from '../store/port.ts'\nexport type y = typeof x", 'noRestrictedImports'],
  'shared/job/again.ts': ["export { x } from '../store/port.ts'", 'noRestrictedImports'],
  'shared/job/late.ts': ["export const late = () => import('../store/port.ts')", 'noRestrictedImports'],
  'shared/job/settings.ts': ["export const host = process.env['HOST']", 'noRestrictedGlobals'],
  'shared/job/network.ts': ["export const get = () => fetch('https://example.com')", 'noRestrictedGlobals'],
  'shared/job/nonce.ts': ['export const nonce = () => crypto.randomUUID()', 'noRestrictedGlobals'],
  'shared/job/clock.ts': ['export const clock = () => performance.now()', 'noRestrictedGlobals'],
  'shared/job/timer.ts': ['export const later = (work: () => void) => setTimeout(work, 1)', 'noRestrictedGlobals'],
  'shared/to-worker.ts': ["import '../worker/part.ts'", 'noRestrictedImports'],
  'shared/to-cli.ts': ["import '../cli/part.ts'", 'noRestrictedImports'],
  'shared/queues/sqlite/to-local.ts': ["import '../../../local/part.ts'", 'noRestrictedImports'],
  'shared/stores/to-test.ts': ["import '../../test/part.ts'", 'noRestrictedImports'],
  'worker/to-local.ts': ["import '../local/part.ts'", 'noRestrictedImports'],
  'worker/model/to-cli.ts': ["import '../../cli/part.ts'", 'noRestrictedImports'],
  'worker/to-test.ts': ["import '../test/part.ts'", 'noRestrictedImports'],
  'cli/to-worker.ts': ["import '../worker/part.ts'", 'noRestrictedImports'],
  'cli/demo/to-local.ts': ["import '../../local/part.ts'", 'noRestrictedImports'],
  'local/to-identity.ts': ["import '../shared/identity/part.ts'", 'noRestrictedImports'],
  'local/entra/to-worker.ts': ["import '../../worker/part.ts'", 'noRestrictedImports'],
  'deploy/to-shared.ts': ["import '../shared/store/port.ts'", 'noRestrictedImports'],
  'deploy/to-worker.ts': ["import '../worker/part.ts'", 'noRestrictedImports'],
  'worker/one.ts': ["import { two } from './two.ts'\nexport const one = () => two", 'noImportCycles'],
  'worker/two.ts': ["import { one } from './one.ts'\nexport const two = () => one", 'noImportCycles'],
  'worker/any.ts': ['export const anything = (value: any) => value', 'noExplicitAny'],
  'worker/sure.ts': ['export const sure = (value?: string) => value!', 'noNonNullAssertion'],
  'worker/floating.ts': ['export function go() {\n  Promise.reject(new Error())\n}', 'noFloatingPromises'],
  'worker/bare.ts': ["import './part'", 'useImportExtensions'],
}

/** Files that break none: each room, and the arrows that are allowed. */
const allowed: Readonly<Record<string, string>> = {
  'shared/job/part.ts': 'export const x = 1',
  'shared/job/pure.ts': "import 'zod'\nimport './part.ts'",
  'shared/stores/port.ts': "import '../job/part.ts'\nimport 'node:crypto'\nexport const x = 1",
  'shared/identity/part.ts': "import '../store/port.ts'",
  'worker/part.ts': "import '../shared/store/port.ts'\nimport '../shared/identity/part.ts'",
  'cli/part.ts': "import '../shared/store/port.ts'",
  'local/part.ts': "import '../shared/store/port.ts'",
  'test/part.ts': "import '../worker/part.ts'\nimport '../local/part.ts'\nimport '../cli/part.ts'",
}

function write(path: string, text: string): void {
  const whole = join(folder, path)
  mkdirSync(dirname(whole), { recursive: true })
  writeFileSync(whole, `${text}\n`)
}

const report = z.object({
  diagnostics: z.array(z.object({ category: z.string(), location: z.looseObject({ path: z.unknown() }) })),
})

/** What biome finds in the planted files: the rules that were broken, by path. */
function lint(): ReadonlyMap<string, readonly string[]> {
  for (const name of ['biome.json', '.gitignore']) copyFileSync(join(ROOT, name), join(folder, name))
  for (const [path, text] of Object.entries(allowed)) write(path, text)
  for (const [path, [text]] of Object.entries(planted)) write(path, text)
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', '.']
  const { stdout } = spawnSync(BIOME, args, { cwd: folder, encoding: 'utf8' })
  const found = new Map<string, string[]>()
  for (const { category, location } of report.parse(JSON.parse(stdout)).diagnostics) {
    const path = JSON.stringify(location.path).replaceAll(/.*?((\w|[-/.])+\.ts).*/g, '$1')
    found.set(path, [...(found.get(path) ?? []), category.split('/').at(-1) ?? ''])
  }
  return found
}

describe('the check of the house rules', () => {
  const found = lint()
  for (const [path, [text, rule]] of Object.entries(planted)) {
    test(`reports ${JSON.stringify(text.split('\n')[0])} in ${dirname(path)}`, () => {
      assert.ok(found.get(path)?.includes(rule), `${rule} was not reported in ${path}: ${found.get(path)}`)
    })
  }

  test('lets every allowed import be', () => {
    assert.deepEqual(
      Object.keys(allowed).flatMap((path) => found.get(path) ?? []),
      [],
    )
  })
})

/** The files of the given rooms in which a pattern occurs. */
function filesWith(pattern: RegExp, ...rooms: readonly string[]): readonly string[] {
  const files = rooms.flatMap((room) => globSync(`${room}/**/*.ts`, { cwd: ROOT }))
  assert.ok(files.length > 0)
  return files.filter((path) => pattern.test(readFileSync(join(ROOT, path), 'utf8'))).toSorted()
}

/** What puts a whole together: a process of ours, and the client in somebody else's. */
const ROOTS = ['shared/client/index.ts', 'worker/main.ts']

describe('in this house', () => {
  test('only what starts a process reads the environment', () => {
    assert.deepEqual(filesWith(/process\.env/, 'worker', 'shared', 'local'), ROOTS)
    const starters = ['cli/local-system.ts', 'cli/main.ts']
    assert.deepEqual(
      filesWith(/process\.env/, 'cli').filter((path) => !starters.includes(path)),
      [],
    )
  })

  test('only composition roots read the clock or draw at random', () => {
    const ambient = /Date\.now|new Date\(\)|performance\.now|Math\.random/
    assert.deepEqual(filesWith(ambient, 'shared/job'), [])
    assert.deepEqual(filesWith(ambient, 'worker', 'shared'), ROOTS)
    assert.deepEqual(filesWith(ambient, 'local'), ['local/dependencies.ts'])
  })

  test('no file of the worker, of what is shared or of the stand-ins is longer than 250 lines', () => {
    assert.deepEqual(filesWith(/^([^\n]*\n){251}/, 'worker', 'shared', 'local'), [])
  })
})
