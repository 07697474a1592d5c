import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { callsOf, startCloud } from '../support/stand-ins.ts'
import { type CommandOptions, newFolder, runCommand } from './cli-harness.ts'

const SUMMARIZE = ['docs/', '--template', 'summarize', '--model', 'gpt-4o-mini']
const NAMES = ['a.md', 'b.md', 'c.md']

async function aFolder(t: TestContext): Promise<string> {
  const cwd = await newFolder(t)
  await mkdir(join(cwd, 'docs'))
  for (const name of NAMES) await writeFile(join(cwd, 'docs', name), `Bridges carry people of ${name}.`)
  return cwd
}

/** Runs a command that must succeed, and gives what it prints. */
async function printed(t: TestContext, args: readonly string[], options: CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await runCommand(t, args, options)
  assert.equal(code, 0, stderr)
  return stdout
}

const answersIn = (results: string) =>
  results
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ custom_id, response }) => `${custom_id.split('@')[0]} ${typeof response.body.choices[0].message.content}`)
    .toSorted()
const ALL_ANSWERED = NAMES.map((name) => `docs/${name} string`)

describe('answers of unchanged documents', { concurrency: 2 }, () => {
  test('are linked: the second run asks for the changed one alone, and a third batch asks for nothing', async (t) => {
    const cwd = await aFolder(t)
    await using cloud = await startCloud({ entra: { caPath: join(cwd, 'ca.pem') } })
    const billed = async () => (await callsOf(cloud.azure)).filter(({ detail }) => detail['billed'] === true).length
    const options = { cwd, env: cloud.env }
    await printed(t, ['run', ...SUMMARIZE], options)
    assert.equal(await billed(), 3)

    await writeFile(join(cwd, 'docs/b.md'), 'Ferries carry cars.')
    const checked = JSON.parse(await printed(t, ['submit', ...SUMMARIZE, '--check', '--json'], options))
    assert.deepEqual([checked.jobs, checked.linked], [3, 2])
    const run = JSON.parse(await printed(t, ['run', ...SUMMARIZE, '--json'], options))
    assert.partialDeepStrictEqual(run, { state: 'complete', total: 3, linked: 2, counts: { succeeded: 3 } })
    assert.equal(await billed(), 4)
    assert.deepEqual(answersIn(await readFile(join(cwd, 'docs-results.jsonl'), 'utf8')), ALL_ANSWERED)

    const third = await printed(t, ['submit', './docs', ...SUMMARIZE.slice(1), '--batch', 'third'], options)
    assert.match(third, /^0 jobs published, 3 linked from earlier batches\nbatch third\n$/)
    assert.match(
      await printed(t, ['batch', 'third'], options),
      /complete\nsettled +3 of 3\n[\s\S]*succeeded +3 {2}3 of them linked from earlier batches\n[\s\S]*tokens +0 in, 0 out/,
    )
    assert.partialDeepStrictEqual(JSON.parse(await printed(t, ['wait', 'third', '--json'], options)), { linked: 3 })
    assert.deepEqual(answersIn(await printed(t, ['results', 'third'], options)), ALL_ANSWERED)
    const table = await printed(t, ['results', 'third', '--format', 'csv'], options)
    assert.equal(table.match(/,gpt-4o-mini,0,0,0,,,docs\/.\.md,\r\n/g)?.length, 3)
    const [, id = ''] = /"custom_id":"([^"]+)"/.exec(await printed(t, ['results', 'third'], options)) ?? []
    assert.match(
      await printed(t, ['show', id, '--batch', 'third'], options),
      /linked +from batch docs-\w+, so nothing was asked or paid\n/,
    )
    assert.equal(await billed(), 4)

    const resent = JSON.parse(
      await printed(t, ['submit', ...SUMMARIZE, '--batch', 'fourth', '--resubmit', '--json'], options),
    )
    assert.deepEqual([resent.published, resent.linked], [3, 0])
  })
})
