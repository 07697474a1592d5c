import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import type { DocumentReader } from '../../shared/sources/document-reader.ts'
import { findLocalFiles } from '../../shared/sources/local-files.ts'
import { readItems } from '../../shared/sources/read-items.ts'
import { splitText } from '../../shared/sources/split-text.ts'

const folder = mkdtempSync(join(tmpdir(), 'sources-'))
after(() => rmSync(folder, { recursive: true }))

for (const path of [
  'docs/b.md',
  'docs/a.txt',
  'docs/sub/c.PDF',
  'docs/.git/x.md',
  'docs/.hidden.md',
  'docs/i.png',
  'out.md',
]) {
  write(path, 'x')
}
mkdirSync(join(folder, 'empty'))
symlinkSync(join(folder, 'out.md'), join(folder, 'docs/link.md'))
symlinkSync(folder, join(folder, 'docs/loop'))

function write(path: string, content: string | Buffer): string {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
  return join(folder, path)
}

/** Names, without the folder; those that are skipped begin with a minus. */
async function found(input: string): Promise<string> {
  const all = await Array.fromAsync(findLocalFiles(join(folder, input)))
  const names = all.map((each) => (each.kind === 'file' ? each.file.name : `-${each.name}`))
  return names.map((name) => name.replace(`${folder}/`, '')).join(' ')
}

const FOUND = {
  docs: 'docs/a.txt docs/b.md -docs/i.png -docs/link.md -docs/loop docs/sub/c.PDF',
  'docs/': 'docs/a.txt docs/b.md -docs/i.png -docs/link.md -docs/loop docs/sub/c.PDF',
  'docs/*.md': 'docs/b.md -docs/link.md',
  'docs/**/*.{txt,PDF}': 'docs/a.txt docs/sub/c.PDF',
  'docs/.hidden.md': 'docs/.hidden.md',
  'docs/link.md': 'docs/link.md',
  empty: '',
}
for (const [input, names] of Object.entries(FOUND)) {
  test(`sources: what ${input} names, in order, without hidden files and links`, async () => {
    assert.equal(await found(input), names)
  })
}

const NOT_FOUND = { 'no/such': /no file or folder/, 'no/*.md': /matches no file/, 'docs/i.png': /only .txt, .md/ }
for (const [input, problem] of Object.entries(NOT_FOUND)) {
  test(`sources: ${input} is an error`, () => assert.rejects(found(input), problem))
}

const noReader: DocumentReader = {
  read: () => Promise.reject(new Error()),
  [Symbol.asyncDispose]: async () => undefined,
}

/** The values of each item of a file, or its problem. */
async function items(name: string, content: string | Buffer) {
  const [each] = await Array.fromAsync(findLocalFiles(write(`items/${name}`, content)))
  assert.ok(each?.kind === 'file')
  const read = await Array.fromAsync(readItems(each.file, noReader))
  return read.map((item) => {
    if (!item.ok) return item.row === undefined ? item.problem : `${item.row}: ${item.problem}`
    const { name: _, text, ...values } = Object.fromEntries(item.values)
    return { ...values, ...(item.row === undefined ? { text } : { row: item.row }) }
  })
}

const utf16 = Buffer.from('\ufeffTwo', 'utf16le')
const ITEMS: readonly (readonly [string, string, string | Buffer, unknown[]])[] = [
  ['text in UTF-8', 'a.md', '\ufeffÜ\r\n', [{ text: 'Ü\r\n' }]],
  ['text in UTF-16 with a mark', 'a.txt', utf16, [{ text: 'Two' }]],
  ['binary data as text', 'b.txt', Buffer.from([0x89, 0x50, 0xff]), ['it is not text: save it as UTF-8']],
  ['NUL as text', 'c.txt', 'a\0b', ['it is not text: it holds NUL characters']],
  ['an empty file', 'd.txt', '', ['the file is empty']],
  ['a blank file', 'e.txt', ' \n', ['it holds no text']],
  [
    'a table',
    'a.csv',
    '\ufeffid, name x\n1,"a, ""b""\nc"\n\n2,d\n',
    [
      { row: 1, id: '1', 'name x': 'a, "b"\nc' },
      { row: 2, id: '2', 'name x': 'd' },
    ],
  ],
  ['a table with semicolons', 'b.csv', 'a;b\n1,5;2\n', [{ row: 1, a: '1,5', b: '2' }]],
  ['a table with a short row', 'c.csv', 'a,b\n1,2\n3\n', ['line 3 has another number of columns than the first line']],
  ['a table with an open quote', 'd.csv', 'a\n"secret\n', ['line 2 begins a quoted value that does not end']],
  ['a table with a column twice', 'e.csv', 'a,a\n1,2\n', ['its first line names a column twice']],
  ['a table with a header only', 'f.csv', 'a,b\n', ['it has no rows']],
  ['a table that is not UTF-8', 'g.csv', Buffer.from([0x61, 0x0a, 0xff]), ['it is not text: save it as UTF-8']],
  [
    'lines of JSON',
    'a.jsonl',
    '{"a":"x","n":{"m":1.5}}\n\n[]\n{"a"\n',
    [{ row: 1, a: 'x', n: '{"m":1.5}', 'n.m': '1.5' }, '3: it is no JSON object', '4: the line is not JSON'],
  ],
  [
    'an event',
    'a.json',
    '{"type":"created","data":{"id":7}}',
    [{ row: 1, type: 'created', data: '{"id":7}', 'data.id': '7' }],
  ],
  ['a list of events', 'b.json', '[{"a":"1"},2]', [{ row: 1, a: '1' }, '2: it is no JSON object']],
  ['an event that is no JSON', 'c.json', '{secret', ['it is not JSON']],
]
for (const [what, name, content, expected] of ITEMS) {
  test(`sources: ${what}`, async () => assert.deepEqual(await items(name, content), expected))
}

test('sources: a row without a column text has its columns as text', async () => {
  const [each] = await Array.fromAsync(findLocalFiles(write('t.csv', 'a,b\n1,2\n')))
  assert.ok(each?.kind === 'file')
  const [item] = await Array.fromAsync(readItems(each.file, noReader))
  assert.ok(item?.ok)
  assert.equal(item.values.get('text'), 'a: 1\nb: 2')
})

test('split: parts end at paragraphs, lose nothing, and are never too long', () => {
  const text = Array.from({ length: 50 }, (_, n) => `Paragraph ${n} ${'word '.repeat(n % 20)}`.trim()).join('\n\n')
  const parts = splitText(text, 500)
  assert.equal(parts.join('\n\n'), text)
  assert.ok(parts.every((part) => part.length <= 500))
  assert.deepEqual(splitText('short', 500), ['short'])
})

test('split: text without spaces is cut, but never within a character', () => {
  const parts = splitText('😀'.repeat(101), 25)
  assert.equal(parts.join(''), '😀'.repeat(101))
  assert.ok(parts.every((part) => part.isWellFormed() && part.length <= 25))
})
