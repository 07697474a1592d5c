import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const page = read('CONTRIBUTING.md')
const manifest = JSON.parse(read('package.json'))

/** What a page names as code, word by word, and where its links lead. */
function wordsOf(markdown: string): string[] {
  const code = [...markdown.matchAll(/```\w*\n([\s\S]+?)```|`([^`\n]+)`/g)]
  const links = [...markdown.matchAll(/\]\(([^)#]+)/g)]
  return [
    ...code.flatMap(([, block, span]) => (block ?? span ?? '').split(/\s+/)),
    ...links.map(([, target = '']) => target),
  ]
}

/** NAME stands for the name of what is added: the files that are there are named in the same way. */
function pathsOf(markdown: string): string[] {
  const named = wordsOf(markdown).filter((word) => word.includes('/') || /\.(md|json)$/.test(word))
  return [...new Set(named)].filter((word) => word !== BUILT).map((word) => word.replaceAll('NAME', '*'))
}

/** What a build makes. */
const BUILT = 'dist/'
const isMissing = (path: string) => globSync(path, { cwd: ROOT }).length === 0
const scriptsOf = (markdown: string) => [...markdown.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name)

describe('CONTRIBUTING.md', () => {
  test('each path that it names exists', () => {
    assert.deepEqual(pathsOf(page).filter(isMissing), [])
    assert.ok(pathsOf(page).length > 40)
    const planted = '`npx node gone/a.ts` [b](gone.md#b)\n```sh\nnode gone/c-NAME.ts\n```\n`worker/main.ts`'
    assert.deepEqual(pathsOf(planted).filter(isMissing), ['gone/a.ts', 'gone/c-*.ts', 'gone.md'])
  })

  test('each npm script that it names exists', () => {
    const names = scriptsOf(page)
    assert.ok(names.length > 10)
    assert.deepEqual(
      names.filter((name) => !Object.hasOwn(manifest.scripts, name)),
      [],
    )
  })

  const rows = [...page.matchAll(/^\| `(\w+)` \| `([^`]+)` \| `([^`]+)` \|$/gm)]
  const tests = globSync('test/**/*.test.ts', { cwd: ROOT }).map(read)

  for (const [, port = '', file = '', suite = ''] of rows) {
    test(`the port ${port} has a contract suite that is run over an adapter`, () => {
      assert.match(read(file), new RegExp(`export interface ${port}\\b`))
      const [, run] = /^export function (\w+)\(/m.exec(read(suite)) ?? []
      const name = suite.split('/').at(-1)
      const runs = tests.filter((text) => text.includes(`/${name}'`) && text.includes(`\n${run}(`))
      assert.ok(run !== undefined && runs.length > 0, `no test runs ${suite}`)
    })
  }

  test('each contract suite is named beside its port', () => {
    const suites = globSync('test/contract/*-contract.ts', { cwd: ROOT })
    assert.deepEqual(rows.map(([, , , suite]) => suite).toSorted(), suites.toSorted())
  })
})

test('tsconfig.json: every TypeScript file of the repository is type-checked, the examples of the docs too', () => {
  const { include }: { include: string[] } = JSON.parse(read('tsconfig.json'))
  const isSkipped = (name: string) => name.startsWith('.') || ['node_modules', 'dist'].includes(name)
  const files = globSync('**/*.{ts,mts}', { cwd: ROOT, exclude: isSkipped })
  assert.ok(files.includes('docs/examples/publish-jobs.mts'))
  assert.deepEqual(
    files.filter((file) => !include.some((folder) => file.startsWith(`${folder}/`))),
    [],
  )
})

test('package.json: it can be published, and what it exports and starts is in what it publishes', () => {
  assert.equal(manifest.private, undefined)
  const { types, default: entry } = manifest.exports['.']
  for (const path of [types, entry, manifest.bin.promptbridge]) {
    assert.ok(manifest.files.includes(path.replace('./', '').split('/')[0]), path)
  }
  assert.equal(manifest.scripts.prepack, 'npm run build')
})
