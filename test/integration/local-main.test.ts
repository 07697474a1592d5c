import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const MAIN = join(import.meta.dirname, '../../local/main.ts')

for (const [title, args, status, output, expected] of [
  [
    '--help: prints how it is called',
    ['--help'],
    0,
    'stdout',
    /^Usage: node local\/main\.ts SETTINGS\n.*promptbridge dev/s,
  ],
  ['without settings: says which are missing', [], 2, 'stderr', /^Usage: .*\n {2}state: .*\n {2}caPath: /s],
  ['with text that is no JSON: prints no stack', ['{'], 2, 'stderr', /^Usage: (?!.* {4}at ).*\n {2}the argument: /s],
] as const) {
  test(`local/main.ts ${title}`, () => {
    const ran = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
    const other = output === 'stdout' ? 'stderr' : 'stdout'
    assert.deepEqual([ran.status, ran[other]], [status, ''])
    assert.match(ran[output], expected)
  })
}
