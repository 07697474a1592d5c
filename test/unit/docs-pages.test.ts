import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bodyFieldNames } from '../../shared/job/body-fields.ts'
import { endReasons, failureKinds } from '../../shared/job/failures.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { jobStatuses } from '../../shared/job/record.ts'
import { sha256 } from '../../shared/lib/sha256.ts'

const DOCS = join(import.meta.dirname, '../../docs')
const page = (name: string) => readFileSync(join(DOCS, name), 'utf8')

/** What stands in backticks in the first cells of all tables of a page. */
function firstCells(name: string): readonly (string | undefined)[] {
  const cells = [...page(name).matchAll(/^\|([^|]+)\|/gm)].map(([, cell = '']) => cell)
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, quoted]) => quoted))
}

test('docs/failures.md: a row for every kind of failure and every reason of a dead letter', () => {
  const cells = firstCells('failures.md')
  for (const kind of [...failureKinds, ...endReasons]) assert.ok(cells.includes(kind), kind)
})

test('docs/concepts.md: a row for every status of a record', () => {
  const cells = firstCells('concepts.md')
  for (const status of jobStatuses) assert.ok(cells.includes(status), status)
})

test('docs/jobs.md: each example is a job', () => {
  const [, lines = ''] = /```jsonl\n([\s\S]+?)```/.exec(page('jobs.md')) ?? []
  const parsed = lines
    .trim()
    .split('\n')
    .map((line) => parseJob(Buffer.from(line), {}, sha256).ok)
  assert.deepEqual(parsed, [true, true, true])
})

test('docs/jobs.md: a row for every name that ALLOW_BODY_FIELDS knows, or for its group', () => {
  const cells = firstCells('jobs.md').map((cell = '') => cell.split('.')[0])
  for (const name of bodyFieldNames) assert.ok(cells.includes(name.split('.')[0]), name)
})

/** The cells of all tables of a page that hold more than a name, a value or one short sentence. */
function paragraphs(markdown: string): readonly string[] {
  const rows = [...markdown.matchAll(/^\|(.+)\|$/gm)].map(([, row = '']) => row)
  const cells = rows.flatMap((row) => row.split('|').map((cell) => cell.trim()))
  return cells.filter((cell) => {
    // What stands in backticks and where a link leads are not read as words.
    const text = cell.replaceAll(/`[^`]*`/g, 'x').replaceAll(/\]\([^)]*\)/g, ']')
    return text.length > 130 || /[.!?] [A-Z]/.test(text)
  })
}

test('docs: no cell of a table holds a paragraph', () => {
  const pages = globSync('*.md', { cwd: DOCS })
  assert.ok(pages.length > 10)
  assert.deepEqual(
    [...pages, '../deploy/terraform/README.md'].flatMap((name) =>
      paragraphs(page(name)).map((cell) => `${name}: ${cell}`),
    ),
    [],
  )
  const two = 'It is one. It is two.'
  assert.deepEqual(paragraphs(`| a | ${two} |\n| \`x. Y\` | ${'long '.repeat(30)} |`), [two, 'long '.repeat(30).trim()])
})

test('README: it has at most 150 lines, and links to every page of docs', () => {
  const readme = page('../README.md')
  assert.ok(readme.split('\n').length <= 151)
  for (const name of globSync('*.md', { cwd: DOCS })) assert.ok(readme.includes(`](docs/${name})`), name)
})
