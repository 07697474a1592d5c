import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { standInFor } from './base-images.ts'
import { parseDockerfile } from './dockerfile.ts'

const ROOT = join(import.meta.dirname, '../../..')

const only = (line: string) => parseDockerfile(`FROM base\n${line}`)[0]?.instructions[0]

describe('a Dockerfile as it is read', () => {
  test('has stages with names, and bases that an ARG may give', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile's own variable.
    const stages = parseDockerfile('ARG BASE=node:24\nFROM ${BASE} AS build\n# a comment\nFROM other\n')
    assert.deepEqual(
      stages.map(({ base, name }) => [base, name]),
      [
        ['node:24', 'build'],
        ['other', undefined],
      ],
    )
  })

  test('runs a line by a shell and a list as it stands', () => {
    assert.deepEqual(only('RUN npm ci \\\n  && true'), {
      kind: 'RUN',
      command: { form: 'shell', line: 'npm ci  && true' },
    })
    assert.deepEqual(only('RUN ["a", "b c"]'), { kind: 'RUN', command: { form: 'exec', words: ['a', 'b c'] } })
  })

  test('copies from the context or from a stage', () => {
    assert.deepEqual(only('COPY a b c/'), { kind: 'COPY', from: undefined, sources: ['a', 'b'], to: 'c/' })
    assert.deepEqual(only('COPY --from=build /a b'), { kind: 'COPY', from: 'build', sources: ['/a'], to: 'b' })
  })

  const unknown = [
    'ADD a b',
    'COPY --chown=1:1 a b',
    'COPY alone',
    'USER nonroot',
    'RUN ["a"',
    'CMD node main.js',
    'ENV A="b c"',
    'HEALTHCHECK NONE',
    'copy a b',
  ]
  for (const line of unknown) {
    test(`is refused for ${line}, which nothing would check`, () => {
      assert.throws(() => only(line))
    })
  }

  test('is refused where a base has no value', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile's own variable.
    assert.throws(() => parseDockerfile('FROM ${NONE}'), /no ARG gives NONE/)
  })
})

describe('our own', () => {
  const stages = parseDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))
  const steps = stages.at(-1)?.instructions ?? []

  test('starts only from images that have a stand-in', () => {
    assert.deepEqual(
      stages.map(({ base }) => standInFor(base)),
      ['host', 'bare', 'bare'],
    )
    assert.equal(standInFor(`node:24.21.0-slim@sha256:${'0'.repeat(64)}`), 'host')
    assert.throws(() => standInFor('alpine:3'))
    assert.throws(() => standInFor('node:24.21.0-slim@sha256:0'))
  })

  test('runs as user 65532, and takes nothing of a stage but what is named', () => {
    assert.deepEqual(
      steps.filter(({ kind }) => kind === 'USER'),
      [{ kind: 'USER', uid: 65_532, gid: 65_532 }],
    )
    const taken = steps.flatMap((step) => (step.kind === 'COPY' ? step.sources : []))
    const built = ['worker.mjs', 'worker.cdx.json', 'LICENSES.txt'].map((file) => `/app/dist/${file}`)
    assert.deepEqual(taken, ['LICENSE', ...built, '/tmp/compile-cache'])
  })

  test('installs what the lock file holds, without any install script, and runs nothing else that npm brings', () => {
    const lines = stages.flatMap(({ instructions }) =>
      instructions.flatMap((step) => (step.kind === 'RUN' && step.command.form === 'shell' ? step.command.line : [])),
    )
    assert.deepEqual(lines, ['npm ci --ignore-scripts', 'npm run build'])
  })

  test('builds with the very version of Node that the tests run on', () => {
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    assert.equal(stages[0]?.base, `node:${devDependencies.node}-slim`)
  })

  test('says by a label where the list of its packages is', () => {
    const labels = steps.filter(({ kind }) => kind === 'LABEL')
    assert.deepEqual(labels, [{ kind: 'LABEL', pairs: { 'promptbridge.sbom': '/app/dist/worker.cdx.json' } }])
  })

  test('compiles the worker as the user, and at the place, that it runs as and at', () => {
    const place = (index: number) => {
      const all = stages.at(index)?.instructions ?? []
      return all.filter(({ kind }) => kind === 'USER' || kind === 'WORKDIR')
    }
    assert.deepEqual(place(1), place(2))
    assert.equal(stages.at(1)?.base, stages.at(2)?.base)
  })
})
