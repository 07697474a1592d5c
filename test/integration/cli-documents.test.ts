import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { aDocx, aPdf, ENCRYPTED, pdfText } from '../support/document-files.ts'
import { newFolder, runCommand } from './cli-harness.ts'

async function aFolder(t: TestContext): Promise<string> {
  const cwd = await newFolder(t)
  await mkdir(join(cwd, 'docs/sub'), { recursive: true })
  await Promise.all([
    writeFile(join(cwd, 'docs/a.md'), 'Bridges carry people. {{not a variable}}'),
    writeFile(join(cwd, 'docs/sub/b.pdf'), aPdf([pdfText('Ferries carry cars.')])),
    writeFile(join(cwd, 'docs/sub/c.docx'), aDocx('Tunnels carry trains.')),
    writeFile(join(cwd, 'table.csv'), 'text,tone\nRoads,kind\nRails,brief\n'),
  ])
  return cwd
}

const SUMMARIZE = ['--template', 'summarize', '--model', 'gpt-4o-mini']

describe('documents', { concurrency: 2 }, () => {
  test('run makes answers of documents and rows; the same command again only writes them', async (t) => {
    const cwd = await aFolder(t)
    for (const _ of ['first', 'again']) {
      const command = ['run', 'docs/', 'table.csv', ...SUMMARIZE, '--metadata', 'team=x', '--demo', '--json']
      const { code, stdout, stderr } = await runCommand(t, command, { cwd })
      assert.equal(code, 0, stderr)
      assert.partialDeepStrictEqual(JSON.parse(stdout), { total: 5, counts: { succeeded: 5 } })
      const results = await readFile(join(cwd, 'docs-results.jsonl'), 'utf8')
      const ids = [...results.matchAll(/"custom_id":"([^@"]+)@/g)].map(([, id]) => id)
      assert.deepEqual(ids.toSorted(), ['docs/a.md', 'docs/sub/b.pdf', 'docs/sub/c.docx', 'table.csv#1', 'table.csv#2'])
    }
  })

  test('submit sends nothing if a document is wrong, and the others with --skip-invalid', async (t) => {
    const cwd = await aFolder(t)
    await writeFile(join(cwd, 'docs/locked.pdf'), aPdf([pdfText('x')], { trailer: ENCRYPTED }))
    await writeFile(join(cwd, 'docs/picture.png'), 'x')
    const command = ['submit', 'docs', ...SUMMARIZE, '--store', 'sqlite:jobs.db']
    const refused = await runCommand(t, command, { cwd })
    assert.equal(refused.code, 2)
    assert.match(
      refused.stderr,
      /skipped docs\/picture\.png: only .*\n.*docs\/locked\.pdf: it is encrypted, .*\n.*nothing was sent/,
    )
    const sent = await runCommand(t, [...command, '--skip-invalid', '--json'], { cwd })
    assert.equal(sent.code, 0, sent.stderr)
    const problems = [{ document: 'docs/locked.pdf', problem: 'it is encrypted, and needs a password' }]
    assert.partialDeepStrictEqual(JSON.parse(sent.stdout), { published: 3, refused: 1, problems })
  })

  test('submit --dry-run prints the count, the tokens, the price and a rendered prompt, and sends nothing', async (t) => {
    const cwd = await aFolder(t)
    const { code, stdout } = await runCommand(t, ['submit', 'docs/*.md', ...SUMMARIZE, '--dry-run'], { cwd })
    assert.equal(code, 0)
    assert.match(stdout, /^1 jobs\nabout \d+ input tokens, .*\ncost at most \$/)
    assert.match(
      stdout,
      /--- user ---\n[\s\S]*Document: docs\/a\.md\n\nBridges carry people\. \{\{not a variable\}\}\n/,
    )
  })

  test('submit makes a job of an event on standard input, and a missing variable names it', async (t) => {
    const cwd = await aFolder(t)
    await writeFile(
      join(cwd, 'ask.md'),
      '---\nmodel: gpt-4o-mini\n---\n# User\nGreet {{order.customer}} of {{order.city}}.\n',
    )
    const input = Buffer.from('{"order": {"customer": "Ada"}}')
    const { code, stderr } = await runCommand(t, ['submit', '-', '--template', 'ask.md', '--check'], { cwd, input })
    assert.equal(code, 2)
    assert.match(stderr, /standard input#1: the template ask needs \{\{order\.city\}\}, which has no value here/)
  })

  const MISUSE = {
    'a folder without --template': [['docs'], /docs is a folder.*--template/],
    'a PDF without --template': [['docs/sub/b.pdf'], /no file of jobs; --template summarize/],
    '--model without --template': [['jobs.jsonl', '--model', 'x'], /need --template/],
    'an unknown template': [
      ['docs', '--template', 'sumarize'],
      /there is no template sumarize: name a file, or one of summarize and extract/,
    ],
    'a folder without documents': [['docs/empty', ...SUMMARIZE], /there is no document in docs\/empty/],
    'a file that is not there': [['nope.md', ...SUMMARIZE], /there is no file or folder nope\.md/],
  } as const
  for (const [what, [args, problem]] of Object.entries(MISUSE)) {
    test(`submit refuses ${what} with one line`, async (t) => {
      const cwd = await aFolder(t)
      await mkdir(join(cwd, 'docs/empty'))
      const { code, stderr } = await runCommand(t, ['submit', ...args], { cwd })
      assert.equal(code, 2)
      assert.match(stderr, problem)
      assert.equal(stderr.trim().split('\n').length, 1)
    })
  }
})
