import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { createDocumentReader } from '../../shared/sources/document-reader.ts'
import { aDocx, aPdf, aZip, ENCRYPTED, pdfText } from '../support/document-files.ts'

const PROGRAM = join(import.meta.dirname, '../../shared/sources/reader/main.ts')
const MIB = 1024 * 1024
const folder = mkdtempSync(join(tmpdir(), 'documents-'))
const reader = createDocumentReader({ program: PROGRAM, timeoutMs: 60_000 })
after(async () => {
  await reader[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

function fileOf(name: string, content: Buffer | string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const HTML =
  '<meta charset="latin1"><style>p{}</style><h1>Caf\xe9</h1><p>Two <a href="https://x.test">words</a></p><script>no()</script>'
const READ = [
  ['pdf', aPdf([pdfText('One'), pdfText('Two')]), 'One\n\nTwo'],
  ['docx', aDocx('Grüße'), 'Grüße'],
  ['html', Buffer.from(HTML, 'latin1'), 'Café\n\nTwo words'],
] as const

for (const [kind, content, text] of READ) {
  test(`documents: the text of a ${kind} file`, async () => {
    assert.equal(await reader.read(fileOf(`good.${kind}`, content), kind), text)
  })
}

const bomb = { name: 'word/media.bin', data: Buffer.alloc(64 * MIB) }
const WRONG = {
  'an encrypted PDF': ['pdf', aPdf([pdfText('x')], { trailer: ENCRYPTED }), /encrypted/],
  'a scanned PDF': ['pdf', aPdf(['q Q']), /it may be scanned/],
  'a PDF that is something else': ['pdf', 'no PDF', /no PDF that can be read/],
  'a document with millions of paragraphs': [
    'docx',
    aDocx(`x</w:t></w:r></w:p>${'<w:p/>'.repeat(6_000_000)}<w:p><w:r><w:t>`),
    /too much memory/,
  ],
  'an older Word file': ['docx', Buffer.from('d0cf11e0a1b11ae1', 'hex'), /no DOCX document/],
  'a zip file without a document': ['docx', aZip([{ name: 'a', data: Buffer.from('a') }]), /no DOCX document/],
  'a zip bomb': ['docx', aDocx('x', [bomb]), /too large when it is unpacked/],
  'a zip bomb that states a small size': [
    'docx',
    aDocx('x', [{ ...bomb, stated: 10 }]),
    /too large when it is unpacked/,
  ],
  'an empty file': ['html', '', /the file is empty/],
  'a page without text': ['html', '<p> </p>', /it holds no text/],
} as const

for (const [what, [kind, content, problem]] of Object.entries(WRONG)) {
  test(`documents: ${what} is refused, and the next document is read`, async () => {
    await assert.rejects(reader.read(fileOf(`wrong.${kind}`, content), kind), problem)
    assert.equal(await reader.read(fileOf('next.html', 'next'), 'html'), 'next')
  })
}

test('documents: a PDF that never ends is given up when its time is over, and the next document is read', async () => {
  const endless = deflateSync(Buffer.from('1 0 0 1 0 0 cm '.repeat(20_000_000)))
  await using impatient = createDocumentReader({ program: PROGRAM, timeoutMs: 100 })
  const path = fileOf('endless.pdf', aPdf([endless], { stream: '/Filter /FlateDecode' }))
  await assert.rejects(impatient.read(path, 'pdf'), /it was not read within 0.1 s/)
  assert.equal(await reader.read(fileOf('next.html', 'next'), 'html'), 'next')
})
