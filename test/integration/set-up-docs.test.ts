import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseEnv } from 'node:util'
import { breaks } from '../../cli/demo/breaks.ts'
import { readConfig } from '../../shared/config/config.ts'
import { parseJob } from '../../shared/job/parse-job.ts'
import { sha256 } from '../../shared/lib/sha256.ts'
import { shellBlocks, unsetVariables } from '../support/shell-blocks.ts'

const root = join(import.meta.dirname, '../..')
const page = (path: string) => readFileSync(join(root, path), 'utf8')
const setUp = page('docs/set-up.md')
const troubleshooting = page('docs/troubleshooting.md')
const blocks = shellBlocks(setUp)

test('every variable of the page is set before it is read', () => {
  const known = new Set<string>()
  for (const block of blocks) {
    assert.deepEqual(unsetVariables(block, known), [], block)
    for (const [, name = ''] of block.matchAll(/^\s*([A-Z_]+)=/gm)) known.add(name)
  }
  assert.ok(known.size > 10)
  assert.deepEqual(unsetVariables('A=1\necho "$A" "$B"', new Set()), ['B'])
})

test('the settings that the page writes are enough to start with', () => {
  const [, yaml = ''] = /^cat > worker\.env\.yaml <<END\n([\s\S]*?)^END$/m.exec(setUp) ?? []
  const values: Readonly<Record<string, string>> = { CLIENT_ID: '00000000-0000-0000-0000-000000000000' }
  const lines = yaml
    .replaceAll(/\$(\w+)/g, (_, name: string) => values[name] ?? name.toLowerCase().replaceAll('_', '-'))
    .replaceAll(/^(\w+): /gm, '$1=')
  assert.equal(readConfig(parseEnv(lines)).pushAuth.mode, 'cloud-run-iam')
})

test('the first job is one', () => {
  const [, line = ''] = /^echo '(.+)' > first\.jsonl$/m.exec(setUp) ?? []
  assert.equal(parseJob(Buffer.from(line), { batch: 'first' }, sha256).ok, true)
})

describe('the ten most likely mistakes', () => {
  const rows = [...troubleshooting.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].slice(1)
  const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

  test('are ten', () => assert.equal(rows.length, 10))

  test('that can be shown on one machine fail at the step that the page names', () => {
    const shown = rows.flatMap(([, , steps, , names]) => quoted(names).map((name) => [name, quoted(steps)] as const))
    assert.ok(shown.length >= 6)
    for (const [name, steps] of shown) {
      const fails = breaks.get(name)?.fails
      assert.ok(
        fails?.some((step) => steps.includes(step)),
        `${name}: ${fails}, not ${steps}`,
      )
    }
  })

  test('that cannot be are named as the doctor names its steps', () => {
    const source = ['check-grants', 'check-queue', 'judge-subscription', 'run-doctor'].map((file) =>
      page(`cli/doctor/${file}.ts`),
    )
    const others = rows.flatMap(([, , steps, , names]) => (quoted(names).length === 0 ? quoted(steps) : []))
    assert.ok(others.length >= 6)
    const parts = others.flatMap((step) => step.replace(' …', '').split(/(?<=subscription): /))
    for (const part of parts)
      assert.ok(
        source.some((text) => text.includes(part)),
        part,
      )
  })
})
