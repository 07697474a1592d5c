import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { outcomes } from '../../worker/delivery/outcome.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const known: readonly string[] = outcomes

/** The outcomes that the metric filters of Terraform match. */
const counted = [
  ...read('deploy/terraform/modules/google/metrics.tf').matchAll(/jsonPayload\.outcome = (.+)/g),
].flatMap(([, filter = '']) => [...filter.matchAll(/\\"(\w+)\\"/g)].map(([, name = '']) => name))

test('log outcomes: each name that a metric filter matches is one that the worker logs', () => {
  assert.ok(counted.length > 10)
  for (const name of counted) assert.ok(known.includes(name), name)
})

test('log outcomes: a metric filter matches each name, except these', () => {
  const uncounted = known.filter((name) => !counted.includes(name))
  assert.deepEqual(uncounted, [
    ...['already_settled', 'broken_push'],
    // Cloud Scheduler logs a failed sweep, and the metric of errors counts sweep_fault.
    ...['swept', 'sweep_failed', 'sweep_deferred', 'sweep_fault'],
    ...['circuit_closed', 'token_recovered'],
  ])
})

test('log outcomes: no name is listed twice, and a line of the log has each that is not the end of a delivery', () => {
  assert.equal(new Set(known).size, known.length)
  const sources = globSync(['worker/**/*.ts', 'shared/**/*.ts'], { cwd: root }).map(read).join('\n')
  for (const name of known.slice(known.indexOf('retry'))) {
    assert.ok(sources.includes(`outcome: '${name}'`), name)
  }
})

test('log outcomes: each name that the docs say the log reports is one that the worker logs', () => {
  const pages = globSync(['README.md', 'docs/*.md', 'deploy/terraform/README.md'], { cwd: root }).map(read).join('\n')
  const reported = [...pages.matchAll(/\blog reports `(\w+)`/g)].map(([, name = '']) => name)
  assert.ok(reported.length > 0)
  for (const name of reported) assert.ok(known.includes(name), name)
})
