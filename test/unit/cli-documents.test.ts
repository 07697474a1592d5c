import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeLines } from '../../cli/documents/make-lines.ts'
import { parseTemplate } from '../../shared/job/template.ts'

const parsed = parseTemplate('---\nmax_completion_tokens: 100\n---\n{{text}} {{tone}}', 'mine')
assert.ok(parsed.ok)
const OPTIONS = { template: parsed.template, model: 'gpt-4o', metadata: { team: 'a' }, split: false }

function lines(text: string, over: Partial<typeof OPTIONS> = {}, row: number | undefined = undefined) {
  const values = new Map(Object.entries({ text, name: 'docs/a.md', tone: 'kind' }))
  return [...makeLines({ ok: true, source: 'docs/a.md', row, values }, { ...OPTIONS, ...over })].map((made) =>
    made.ok ? JSON.parse(made.line) : `${made.document}: ${made.problem}`,
  )
}

test('documents: a document becomes a line of a batch file whose id has its path and the hash of the whole request', () => {
  const [line] = lines('Bridges')
  const { custom_id, ...rest } = line
  assert.match(custom_id, /^docs\/a\.md@[0-9a-f]{12}$/)
  assert.deepEqual(rest, {
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'gpt-4o', messages: [{ role: 'user', content: 'Bridges kind' }], max_completion_tokens: 100 },
    metadata: { document: 'docs/a.md', team: 'a' },
  })
})

test('documents: the id changes with the text, the model and the metadata, and with nothing else', () => {
  const ids = [
    lines('a'),
    lines('b'),
    lines('a', { model: 'o3' }),
    lines('a', { metadata: { team: 'b' } }),
    lines('a', {}, 2),
  ]
  assert.equal(new Set(ids.map(([line]) => line.custom_id)).size, 5)
  assert.deepEqual(lines('a'), lines('a'))
})

test('documents: a row has its number in its id and its metadata', () => {
  const [line] = lines('a', {}, 12)
  assert.match(line.custom_id, /^docs\/a\.md#12@/)
  assert.equal(line.metadata.row, '12')
})

test('documents: a model that reads less than its whole window is measured by what it reads', () => {
  const text = 'word '.repeat(230_000)
  assert.match(
    String(lines(text, { model: 'gpt-5-mini' })[0]),
    /of about 287,5\d\d tokens, and gpt-5-mini has room for 272,000/,
  )
  assert.equal(typeof lines(text, { model: 'gpt-4.1' })[0], 'object')
})

test('documents: one that the model cannot read at once is refused with its size', () => {
  assert.deepEqual(lines('word '.repeat(200_000)), [
    'docs/a.md: it makes a prompt of about 250,004 tokens beside an answer of 100, and gpt-4o has room for 128,000; --split makes several jobs of it',
  ])
  assert.equal(typeof lines('word '.repeat(200_000), { model: 'my-deployment' })[0], 'object')
  assert.match(String(lines('x'.repeat(5 * 1024 * 1024), { model: 'my-deployment' })), /at most 4194304 are read/)
})

test('documents: with --split it becomes parts that its model can read, and that stay together', () => {
  const parts = lines('word '.repeat(200_000), { split: true })
  assert.ok(parts.length > 1)
  for (const [at, { custom_id, metadata }] of parts.entries()) {
    assert.ok(custom_id.startsWith(`docs/a.md#${at + 1}/${parts.length}@`))
    assert.deepEqual(metadata, { document: 'docs/a.md', part: `${at + 1}/${parts.length}`, team: 'a' })
  }
  const [whole] = lines('short', { split: true })
  assert.match(whole.custom_id, /^docs\/a\.md@/)
})

test('documents: a missing variable, and metadata that no job may have, name the document', () => {
  const values = new Map([['text', 'x']])
  const [made] = makeLines({ ok: true, source: 'a.md', row: 3, values }, OPTIONS)
  assert.deepEqual(made, {
    ok: false,
    document: 'a.md#3',
    problem: 'the template mine needs {{tone}}, which has no value here',
  })
  assert.match(
    String(lines('x', { metadata: { team: 'x'.repeat(2_000) } })),
    /^docs\/a\.md: metadata\.team: has more than/,
  )
})
