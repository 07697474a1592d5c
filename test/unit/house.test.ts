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
  'shared/job/store.ts': ["import '../stores/part.ts'", 'noRestrictedImports'],
  'shared/job/type.ts': ["import type { x } from '../stores/part.ts'\nexport type y = typeof x", 'noRestrictedImports'],
  'shared/job/again.ts': ["export { x } from '../stores/part.ts'", 'noRestrictedImports'],
  'shared/job/late.ts': ["export const late = () => import('../stores/part.ts')", 'noRestrictedImports'],
  'shared/job/settings.ts': ["export const host = process.env['HOST']", 'noRestrictedGlobals'],
  'shared/job/network.ts': ["export const get = () => fetch('https://example.com')", 'noRestrictedGlobals'],
  'shared/job/nonce.ts': ['export const nonce = () => crypto.randomUUID()', 'noRestrictedGlobals'],
  'shared/job/clock.ts': ['export const clock = () => performance.now()', 'noRestrictedGlobals'],
  'shared/job/timer.ts': ['export const later = (work: () => void) => setTimeout(work, 1)', 'noRestrictedGlobals'],
  'shared/job/ending.ts': [
    "import type { x } from '../stores/job-store.ts'\nexport type y = typeof x",
    'noRestrictedImports',
  ],
  'shared/lib/to-job.ts': ["import '../job/part.ts'", 'noRestrictedImports'],
  'shared/config/to-models.ts': ["import '../models/azure-openai/part.ts'", 'noRestrictedImports'],
  'shared/config/to-queues.ts': ["import '../queues/part.ts'", 'noRestrictedImports'],
  'shared/identity/to-models.ts': ["import '../models/azure-openai/part.ts'", 'noRestrictedImports'],
  'shared/identity/to-stores.ts': ["import '../stores/part.ts'", 'noRestrictedImports'],
  'shared/queues/pubsub/to-stores.ts': ["import '../../stores/part.ts'", 'noRestrictedImports'],
  'shared/queues/sqlite/to-local.ts': ["import '../../../local/part.ts'", 'noRestrictedImports'],
  'shared/models/to-worker.ts': ["import '../../worker/delivery/part.ts'", 'noRestrictedImports'],
  'shared/models/azure-openai/to-stores.ts': ["import '../../stores/part.ts'", 'noRestrictedImports'],
  'shared/stores/to-identity.ts': ["import '../identity/part.ts'", 'noRestrictedImports'],
  'shared/stores/firestore/to-models.ts': ["import '../../models/part.ts'", 'noRestrictedImports'],
  'shared/stores/to-test.ts': ["import '../../test/part.ts'", 'noRestrictedImports'],
  'shared/sources/to-stores.ts': ["import '../stores/part.ts'", 'noRestrictedImports'],
  'shared/sources/reader/to-config.ts': ["import '../../config/part.ts'", 'noRestrictedImports'],
  'shared/client/to-cli.ts': ["import '../../cli/part.ts'", 'noRestrictedImports'],
  'worker/to-local.ts': ["import '../local/part.ts'", 'noRestrictedImports'],
  'worker/to-test.ts': ["import '../test/part.ts'", 'noRestrictedImports'],
  'worker/delivery/to-observe.ts': ["import '../observe/part.ts'", 'noRestrictedImports'],
  'worker/observe/to-jobs.ts': ["import '../jobs/part.ts'", 'noRestrictedImports'],
  'worker/events/to-limits.ts': ["import '../limits/part.ts'", 'noRestrictedImports'],
  'worker/limits/to-events.ts': ["import '../events/part.ts'", 'noRestrictedImports'],
  'worker/dead-letters/to-jobs.ts': ["import '../jobs/part.ts'", 'noRestrictedImports'],
  'worker/dead-letters/to-http.ts': ["import '../http/part.ts'", 'noRestrictedImports'],
  'worker/jobs/to-http.ts': ["import '../http/part.ts'", 'noRestrictedImports'],
  'worker/jobs/to-cli.ts': ["import '../../cli/part.ts'", 'noRestrictedImports'],
  'worker/jobs/to-adapter.ts': ["import '../../shared/stores/firestore/part.ts'", 'noRestrictedImports'],
  'worker/events/to-adapter.ts': ["import '../../shared/models/azure-openai/part.ts'", 'noRestrictedImports'],
  'worker/sweep/to-jobs.ts': ["import '../jobs/part.ts'", 'noRestrictedImports'],
  'worker/pull/to-http.ts': ["import '../http/part.ts'", 'noRestrictedImports'],
  'worker/pull/to-store.ts': ["import '../../shared/stores/sqlite/part.ts'", 'noRestrictedImports'],
  'worker/jobs/to-pull.ts': ["import '../pull/part.ts'", 'noRestrictedImports'],
  'worker/http/to-root.ts': ["import '../part.ts'", 'noRestrictedImports'],
  'cli/to-worker.ts': ["import '../worker/part.ts'", 'noRestrictedImports'],
  'cli/demo/to-local.ts': ["import '../../local/part.ts'", 'noRestrictedImports'],
  'local/to-identity.ts': ["import '../shared/identity/part.ts'", 'noRestrictedImports'],
  'local/to-job.ts': ["import '../shared/job/part.ts'", 'noRestrictedImports'],
  'local/entra/to-worker.ts': ["import '../../worker/part.ts'", 'noRestrictedImports'],
  'deploy/to-shared.ts': ["import '../shared/stores/part.ts'", 'noRestrictedImports'],
  'docs/generate/to-worker.ts': ["import '../../worker/part.ts'", 'noRestrictedImports'],
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
  'shared/lib/part.ts': "import 'node:crypto'",
  'shared/config/part.ts': "import '../job/part.ts'\nimport '../lib/part.ts'",
  'shared/identity/part.ts': "import '@azure/identity'\nimport '../config/part.ts'",
  'shared/queues/part.ts': "import '../config/part.ts'",
  'shared/queues/pubsub/part.ts': "import '@google-cloud/pubsub'\nimport '../part.ts'",
  'shared/models/part.ts': "import '../identity/part.ts'",
  'shared/models/azure-openai/part.ts': "import '../part.ts'\nimport '../../job/part.ts'",
  'shared/stores/part.ts': "import '../queues/part.ts'\nexport const x = 1",
  'shared/stores/firestore/part.ts': "import '../part.ts'\nimport '../../lib/part.ts'",
  'shared/sources/part.ts': "import '../job/part.ts'\nimport '../lib/part.ts'",
  'shared/client/part.ts': "import '../stores/part.ts'\nimport '../identity/part.ts'",
  'worker/delivery/part.ts': "import '../../shared/queues/part.ts'",
  'worker/observe/part.ts': "import '../delivery/part.ts'",
  'worker/events/part.ts': "import '../observe/part.ts'",
  'worker/limits/part.ts': "import '../observe/part.ts'",
  'worker/dead-letters/part.ts': "import '../events/part.ts'",
  'worker/jobs/part.ts': "import '../dead-letters/part.ts'\nimport '../limits/part.ts'",
  'worker/sweep/part.ts': "import '../events/part.ts'",
  'worker/http/part.ts': "import '../jobs/part.ts'\nimport '../sweep/part.ts'",
  'worker/pull/part.ts': "import '../jobs/part.ts'\nimport '../../shared/queues/sqlite/part.ts'",
  'worker/part.ts': "import './http/part.ts'\nimport '../shared/stores/firestore/part.ts'",
  'cli/part.ts': "import '../shared/stores/part.ts'",
  'local/part.ts': "import '../shared/queues/sqlite/part.ts'\nimport '../shared/lib/sqlite.ts'",
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
    const reported = Object.keys(allowed).flatMap((path) => found.get(path) ?? [])
    assert.deepEqual(reported, [])
  })
})

/** The files of the given rooms in which a pattern occurs. */
function filesWith(pattern: RegExp, ...rooms: readonly string[]): readonly string[] {
  const files = rooms.flatMap((room) => globSync(`${room}/**/*.ts`, { cwd: ROOT }))
  assert.ok(files.length > 0)
  return files.filter((path) => pattern.test(readFileSync(join(ROOT, path), 'utf8'))).toSorted()
}

/** The composition roots: our processes, and the client, which runs in a process of its user. */
const ROOTS = ['shared/client/index.ts', 'worker/main.ts']

describe('in this house', () => {
  test('only what starts a process reads the environment', () => {
    assert.deepEqual(filesWith(/process\.env/, 'worker', 'shared', 'local'), ROOTS)
    const starters = ['cli/local-system.ts', 'cli/main.ts']
    const others = filesWith(/process\.env/, 'cli').filter((path) => !starters.includes(path))
    assert.deepEqual(others, [])
  })

  test('only composition roots read the clock or draw at random', () => {
    const ambient = /Date\.now|new Date\(\)|performance\.now|Math\.random/
    assert.deepEqual(filesWith(ambient, 'shared/job'), [])
    assert.deepEqual(filesWith(ambient, 'worker', 'shared'), ROOTS)
    assert.deepEqual(filesWith(ambient, 'local'), ['local/dependencies.ts'])
  })

  test('no file lies beside the rooms but what puts them together', () => {
    assert.deepEqual(globSync('{worker,shared,test}/*.ts', { cwd: ROOT }).toSorted(), [
      'worker/compose.ts',
      'worker/listen.ts',
      'worker/main.ts',
    ])
  })

  test('no room of shared/ holds more than two fifths of it', () => {
    const files = globSync('shared/**/*.ts', { cwd: ROOT })
    const sizes = Map.groupBy(files, (path) => path.split('/')[1])
    const linesOf = (paths: readonly string[]) =>
      paths.reduce((sum, path) => sum + readFileSync(join(ROOT, path), 'utf8').split('\n').length, 0)
    const biggest = Math.max(...[...sizes.values()].map(linesOf))
    assert.ok(biggest < 0.4 * linesOf(files), `the biggest has ${biggest} of ${linesOf(files)} lines`)
  })

  test('no file of the worker, of what is shared or of the stand-ins is longer than 250 lines', () => {
    assert.deepEqual(filesWith(/^([^\n]*\n){251}/, 'worker', 'shared', 'local'), [])
  })
})
