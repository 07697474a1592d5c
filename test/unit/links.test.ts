import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { anchorsIn, brokenLinks, destinationOf, linksIn } from '../support/markdown-links.ts'
import { ownFiles } from '../support/own-files.ts'

const ROOT = join(import.meta.dirname, '../..')
const files = ownFiles(ROOT)
const pages = files.filter((path) => path.endsWith('.md') && !path.includes('/fixtures/'))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

test('links: each relative link and anchor of each page leads to a file or a heading', () => {
  assert.ok(pages.length > 15 && pages.flatMap((path) => linksIn(read(path))).length > 150)
  const broken = pages.flatMap((path) => brokenLinks(path, files, read))
  assert.deepEqual(broken, [])
})

test('links: README leads to every page of docs and to every other README, by one link or several', () => {
  const reached = new Set<string>()
  const visit = (path: string) => {
    if (reached.has(path) || !pages.includes(path)) return
    reached.add(path)
    for (const { target = '' } of linksIn(read(path))) visit(destinationOf(target, path)?.path ?? '')
  }
  visit('README.md')
  const wanted = pages.filter((path) => /^docs\/|README\.md$/.test(path))
  const unreached = wanted.filter((path) => !reached.has(path))
  assert.deepEqual(unreached, [])
})

/** A repository with one page, `docs/page.md`, that holds a planted link. */
const around: Readonly<Record<string, string>> = {
  'README.md': '# Top\n',
  'docs/other.md':
    '# Other page\n\n## `code` & [link](x.md)\n\n## Twice\n\n## Twice\n\n```sh\n# not a heading\n```\n\n<a id="own"></a>\n',
  'docs/picture.png': '',
  'deploy/README.md': '# Deploy\n',
  'shared/two-lines.ts': 'one\ntwo',
  'local/main.ts': '',
}

function problemsOf(text: string): readonly string[] {
  const all: Readonly<Record<string, string>> = { ...around, 'docs/page.md': text }
  return brokenLinks('docs/page.md', Object.keys(all), (path) => all[path] ?? '')
}

describe('links: reported as broken', () => {
  const planted: Readonly<Record<string, string>> = {
    'a file that is not there': '[a](missing.md)',
    'a file from the wrong folder': '[a](docs/other.md)',
    'a file in other letters': '[a](Other.md)',
    'a path out of the repository': '[a](../../README.md)',
    'a heading that is not there': '[a](other.md#missing)',
    'a heading that the page itself does not have': '[a](#missing)',
    'a comment of a shell block': '[a](other.md#not-a-heading)',
    'a third heading of two': '[a](other.md#twice-2)',
    'a heading in capitals': '[a](other.md#Other-page)',
    'a heading of a folder without a page': '[a](../local#main)',
    'a line that a file does not have': '[a](../shared/two-lines.ts#L3)',
    'an image': '![a](missing.png)',
    'an image in a link': '[![a](missing.png)](other.md)',
    'a link around an image': '[![a](picture.png)](missing.md)',
    'a link with a title': '[a](missing.md "A title")',
    'a link in angle brackets': '[a](<missing page.md>)',
    'a link over two lines': '[a\nb](missing.md)',
    'a link whose text is code': '[`a`](missing.md)',
    'a link in a table': '| a |\n|---|\n| [a](missing.md) |',
    'a reference without a definition': '[a][nowhere]',
    'an image by a reference without a definition': '![a][nowhere]',
    'a definition that leads nowhere': '[a]: missing.md',
    'a link from the root': '[a](/missing.md)',
    'a link in HTML': '<a href="missing.md">a</a>',
    'an image in HTML': '<img alt="a" src="missing.png">',
  }
  for (const [name, text] of Object.entries(planted)) {
    test(`${name}: ${JSON.stringify(text)}`, () => {
      const problems = problemsOf(`# Page\n\n${text}\n`)
      assert.equal(problems.length, 1, `${problems}`)
      assert.match(problems[0] ?? '', /^docs\/page\.md:\d+: /)
    })
  }

  test('a reference to a definition that leads nowhere, with the lines of both', () => {
    assert.deepEqual(problemsOf('[a][b]\n\n[b]: missing.md'), [
      'docs/page.md:1: [a][b]: there is no docs/missing.md',
      'docs/page.md:3: [b]: missing.md: there is no docs/missing.md',
    ])
  })
})

describe('links: accepted', () => {
  const planted: Readonly<Record<string, string>> = {
    'a file': '[a](other.md)',
    'a file of another folder': '[a](../shared/two-lines.ts)',
    'a folder': '[a](../local/)',
    'a heading of a folder with a page': '[a](../deploy#deploy)',
    'a heading with code, signs and a link': '[a](other.md#code--link)',
    'the second heading of a name': '[a](other.md#twice-1)',
    'an anchor that a page sets': '[a](other.md#own)',
    'a heading of the page': '[a](#page)',
    'a line of a file': '[a](../shared/two-lines.ts#L1-L2)',
    'a link from the root': '[a](/README.md)',
    'an image by a reference': '![a][b]\n\n[b]: picture.png',
    'a reference by its own text': '[b][] and [b]\n\n[b]: other.md',
    'another site': '[a](https://example.com/missing.md) [b](mailto:a@example.com) <https://example.com>',
    'code that looks like a link': '`[a](missing.md)` and ``[`a`](missing.md)``',
    'a block of code': '```md\n[a](missing.md)\n```\n\n~~~\n[a](missing.md)\n~~~',
    'a block of code in a list': '- a\n\n  ```md\n  [a](missing.md)\n  ```',
    'a comment': '<!-- [a](missing.md) -->',
    'brackets that are text': 'a list[0] of [optional] words',
  }
  for (const [name, text] of Object.entries(planted)) {
    test(`${name}: ${JSON.stringify(text)}`, () => assert.deepEqual(problemsOf(`# Page\n\n${text}\n`), []))
  }
})

test('links: a heading has the anchor that GitHub gives it', () => {
  const headings = '# Über **uns** & more\n## snake_case-name\n## A, b.\n## `npm run x`: what it does ##\n'
  assert.deepEqual([...anchorsIn(headings)], ['über-uns--more', 'snake_case-name', 'a-b', 'npm-run-x-what-it-does'])
})
