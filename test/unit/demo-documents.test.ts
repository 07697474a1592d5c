import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findDocuments } from '../../cli/demo/documents.ts'

/** A folder of packages with these files, gone after the test. */
async function packages(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'packages-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return folder
}

function text(length: number, letter = 'a'): string {
  return letter.repeat(length)
}

function names(folder: string): string[] {
  return findDocuments(folder).map(({ name }) => name)
}

test('READMEs are found at any depth, in order of their names', async (t) => {
  const folder = await packages(t, {
    'zebra/README.md': text(50, 'z'),
    '@scope/inner/readme.markdown': text(50, 's'),
    'apple/node_modules/core/Readme.MD': text(50, 'c'),
    'apple/README.md': text(50, 'a'),
  })
  assert.deepEqual(names(folder), [
    '@scope/inner/readme.markdown',
    'apple/README.md',
    'apple/node_modules/core/Readme.MD',
    'zebra/README.md',
  ])
})

test('other files are no documents', async (t) => {
  const folder = await packages(t, {
    'a/README.md': text(50),
    'a/CHANGELOG.md': text(50, 'b'),
    'a/README.txt': text(50, 'c'),
    'a/README.md.bak': text(50, 'd'),
    'a/README-fr.md': text(50, 'e'),
  })
  assert.deepEqual(names(folder), ['a/README.md'])
})

test('of the same text under several names the first is used', async (t) => {
  const folder = await packages(t, { 'b/README.md': text(50), 'a/README.md': text(50), 'c/README.md': text(51) })
  assert.deepEqual(names(folder), ['a/README.md', 'c/README.md'])
})

test('a document has 40 to 200,000 bytes', async (t) => {
  const folder = await packages(t, {
    'a/README.md': text(39),
    'b/README.md': text(40),
    'c/README.md': text(200_000),
    'd/README.md': text(200_001),
    'e/README.md': text(20, 'é'),
  })
  assert.deepEqual(names(folder), ['b/README.md', 'c/README.md', 'e/README.md'])
})

test('bytes that are no UTF-8 become a text that can be sent', async (t) => {
  const folder = await packages(t, { 'a/README.md': Uint8Array.from([0xff, 0xfe, ...Buffer.from(text(50))]) })
  const [document] = findDocuments(folder)
  assert.equal(document?.text, `\ufffd\ufffd${text(50)}`)
})

test('a folder without a README is refused with what to do', async (t) => {
  const folder = await packages(t, { 'a/index.js': text(50), 'b/README.md': 'too short' })
  assert.throws(() => findDocuments(folder), {
    message: `there is no README to summarise below ${folder}; "npm ci" installs packages that have one`,
  })
  assert.throws(() => findDocuments(join(folder, 'nowhere')), /there is no README to summarise below/)
})
