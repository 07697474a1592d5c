import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { readConfig } from '../../shared/config/config.ts'

const ROOT = join(import.meta.dirname, '../..')
const json = (path: string): unknown => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const FOLDER = `$\{workspaceFolder}`
const OPEN_FILE = `$\{file}`
const NODE = `${FOLDER}/node_modules/.bin/node`
const inFolder = (text: string) => text.replaceAll(FOLDER, ROOT)

const { configurations } = z
  .object({
    configurations: z.array(
      z.object({
        name: z.string(),
        runtimeExecutable: z.string(),
        program: z.string(),
        env: z.record(z.string(), z.string()).optional(),
      }),
    ),
  })
  .parse(json('.vscode/launch.json'))

describe('.vscode/launch.json', () => {
  for (const { name, runtimeExecutable, program } of configurations) {
    test(`"${name}" runs a file that exists, by the Node of the project`, () => {
      assert.equal(runtimeExecutable, NODE)
      assert.ok(program === OPEN_FILE || existsSync(inFolder(program)), program)
    })
  }

  test('the worker without a cloud has all settings that it needs, and a folder for its file', () => {
    const { env = {} } = configurations.find(({ name }) => name === 'Worker, without a cloud') ?? {}
    const settings = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, inFolder(value)]))
    const { store, pushAuth, host } = readConfig(settings)
    assert.deepEqual([pushAuth.mode, host], ['off', '127.0.0.1'])
    assert.ok(store.kind === 'sqlite' && existsSync(dirname(store.path)))
  })
})

test('.vscode/tasks.json: each task runs an npm script that exists, or the Node of the project', () => {
  const task = z.discriminatedUnion('type', [
    z.object({ type: z.literal('npm'), script: z.string() }),
    z.object({ type: z.literal('process'), command: z.literal(NODE) }),
  ])
  const { tasks } = z.object({ tasks: z.array(task) }).parse(json('.vscode/tasks.json'))
  const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(json('package.json'))
  const named = tasks.flatMap((each) => (each.type === 'npm' ? [each.script] : []))
  assert.deepEqual(named, ['check', 'types', 'test'])
  for (const name of named) assert.ok(name in scripts, name)
})
