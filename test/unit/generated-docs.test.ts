import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseEnv } from 'node:util'
import { allCommands, helpEndingOf } from '../../docs/generate/cli-page.ts'
import { fillIn, generatedPages } from '../../docs/generate/pages.ts'
import { readConfig } from '../../shared/config/config.ts'
import { settings } from '../../shared/config/schema.ts'

for (const { name, path, text } of await generatedPages()) {
  test(`docs/${name}: it is as the code has it`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, `docs/${name} is out of date: run npm run docs`)
  })
}

describe('generated parts of a page', () => {
  const place = (name: string, text: string) =>
    `<!-- generated ${name}: npm run docs -->\n${text}<!-- end of the generated part -->\n`
  const page = `# A\n${place('one', 'old\n')}between\n${place('two', '')}end\n`

  test('each is replaced, and the text between them is kept', () => {
    const parts = new Map(Object.entries({ one: 'costs $1\n', two: 'b\n' }))
    const filled = `# A\n${place('one', '\ncosts $1\n\n')}between\n${place('two', '\nb\n\n')}end\n`
    assert.equal(fillIn(page, parts), filled)
    assert.equal(fillIn(filled, parts), filled)
  })

  test('a part without a place, and a place without a part, are errors', () => {
    assert.throws(() => fillIn(page, new Map(Object.entries({ one: '', two: '', three: '' }))), /three/)
    assert.throws(() => fillIn(page, new Map(Object.entries({ one: '' }))), /places for one, two/)
  })
})

describe('docs/settings.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/settings.md'), 'utf8')
  /** The first two cells of every row of the settings tables. */
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|/gm)].map(([, name = '', cell = '']) => [name, cell])
  const cellOf = (name: string) => rows.find(([row]) => row === name)?.[1]

  test('one row for every setting, and for nothing else', () => {
    assert.deepEqual(rows.map(([name]) => name).toSorted(), Object.keys(settings.shape).toSorted())
  })

  test('the default of every setting that has one', () => {
    // Defaults that are read into something else.
    const written: Readonly<Record<string, string>> = { STORE: 'firestore', TOKEN_SOURCE: 'metadata-server' }
    const defaults = Object.entries(settings.shape).flatMap(([name, schema]) => {
      const value = written[name] ?? schema.safeParse(undefined).data
      return value === undefined ? [] : [[name, `\`${value}\``] as const]
    })
    assert.ok(defaults.length > 10)
    for (const [name, value] of defaults) assert.equal(cellOf(name), value, name)
  })

  test('each setting that cannot be left out is required', () => {
    const required = Object.entries(settings.shape).filter(([, schema]) => !schema.safeParse(undefined).success)
    assert.ok(required.length > 0)
    for (const [name] of required) assert.equal(cellOf(name), 'required', name)
  })

  test('each setting that has details exists', () => {
    const names = [...page.matchAll(/^\*\*`([^`]+)`\.\*\*/gm)].map(([, name = '']) => name)
    assert.ok(names.length > 8)
    for (const name of names) assert.ok(name in settings.shape, name)
  })

  test('its settings file is enough to start with', () => {
    const [, file = ''] = /```sh\n(GOOGLE_CLOUD_PROJECT=[\s\S]+?)```/.exec(page) ?? []
    assert.equal(readConfig(parseEnv(file)).store.kind, 'firestore')
  })
})

const commands = await allCommands()

describe('docs/cli.md', () => {
  test('a section for each command that has no commands of its own', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
    const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    assert.deepEqual(
      headings,
      commands.map(({ path }) => path),
    )
    for (const name of ['submit', 'dead-letters replay', 'token failures', 'doctor']) assert.ok(headings.includes(name))
  })

  for (const { path, command } of commands) {
    const { examples, exitCodes } = helpEndingOf(command)

    test(`${path}: its help has the exit codes`, () => {
      assert.deepEqual(exitCodes.map(([code]) => code).slice(0, 3), ['0', '1', '2'])
    })

    test(`${path}: its help has examples that it accepts`, () => {
      assert.ok(examples.length > 0)
      for (const example of examples) {
        const start = `promptbridge ${path}`
        assert.ok(example.startsWith(start) && example.includes('  # '), example)
        const [line = ''] = example.slice(start.length).split(/ +# | (?:[|<]|>{1,2}) /)
        const { operands, unknown } = command.parseOptions(line.split(' ').filter((word) => word !== ''))
        assert.deepEqual(unknown, [], example)
        const { registeredArguments } = command
        const [last] = registeredArguments.slice(-1)
        assert.ok(operands.length >= registeredArguments.filter(({ required }) => required).length, example)
        assert.ok(operands.length <= registeredArguments.length || last?.variadic, example)
      }
    })
  }
})
