import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { testsOf } from './tests-of.ts'

const root = join(import.meta.dirname, '../../..')
const { mutate } = z
  .looseObject({ mutate: z.array(z.string()).min(1) })
  .parse(JSON.parse(readFileSync(join(root, 'stryker.config.json'), 'utf8')))

test('every pattern of files to mutate matches a file', () => {
  for (const pattern of mutate) assert.notDeepEqual(globSync(pattern, { cwd: root }), [], pattern)
})

test('every file that has tests for its mutants is mutated', () => {
  const mutated = globSync(mutate, { cwd: root })
  for (const file of Object.keys(testsOf)) assert.ok(mutated.includes(file), file)
})

test('every file of rules whose mutants can run has tests for them', () => {
  const TYPES = 'shared/job/ending.ts'
  const without = globSync(mutate, { cwd: root }).filter((file) => !(file in testsOf))
  assert.deepEqual(without, [TYPES])
})

test('every test for mutants is there', () => {
  const missing = Object.values(testsOf)
    .flat()
    .filter((name) => !existsSync(join(root, 'test/unit', `${name}.test.ts`)))
  assert.deepEqual(missing, [])
})
