import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { runHosted } from '../support/run-hosted.ts'
import { callsOf, startCloud } from '../support/stand-ins.ts'
import { holdAnswers } from '../support/worker.ts'
import { newFolder, runCommand, startCommand, until } from './cli-harness.ts'

const line = (id: string, content: string, model = 'gpt-4o-mini') =>
  JSON.stringify({
    ...{ custom_id: id, method: 'POST', url: '/v1/chat/completions' },
    body: { model, messages: [{ role: 'user', content }] },
  })

/** A folder with an input file of these lines. */
async function aFolder(t: TestContext, ...lines: readonly string[]): Promise<string> {
  const cwd = await newFolder(t)
  await writeFile(join(cwd, 'jobs.jsonl'), lines.join('\n'))
  return cwd
}

const idsIn = async (path: string) =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((text): unknown => JSON.parse(text))
    .map((entry) => (typeof entry === 'object' && entry !== null && 'custom_id' in entry ? entry.custom_id : undefined))
    .toSorted()

const THREE = ['a', 'b', 'c'].map((id) => line(id, `Bridge ${id} carries people.`))

describe('run', { concurrency: 2 }, () => {
  test('--demo needs no setting, answers for every model, writes the results, and exits with 5 because a job failed', async (t) => {
    const cwd = await aFolder(t, line('other', 'Bridges.', 'any-model'), line('bad', CONTENT_FILTER_MARKER))
    const { code, stdout, stderr } = await runCommand(t, ['run', 'jobs.jsonl', '--demo', '--json'], { cwd })
    assert.equal(code, 5, stderr)
    const { name, ...result } = JSON.parse(stdout)
    assert.match(name, /^jobs-[0-9a-f]{12}$/)
    assert.partialDeepStrictEqual(result, { state: 'complete', total: 2, counts: { succeeded: 1, dead_lettered: 1 } })
    assert.deepEqual(await idsIn(join(cwd, 'jobs-results.jsonl')), ['bad', 'other'])
    const letters = await runCommand(t, ['dead-letters', 'list', '--store', result.store, '--json'], { cwd })
    assert.match(letters.stdout, /rejected/)
  })

  test('run again after a failed job was edited, it gets the answer of this job', async (t) => {
    const cwd = await aFolder(t, line('good', 'Bridges.'), line('bad', CONTENT_FILTER_MARKER))
    const command = ['run', 'jobs.jsonl', '--batch', 'b', '--demo', '--json']
    const first = await runCommand(t, command, { cwd })
    assert.equal(first.code, 5, first.stderr)
    const edit = [
      'dead-letters',
      'edit',
      'bad',
      '--batch',
      'b',
      '--file',
      '-',
      '--store',
      JSON.parse(first.stdout).store,
    ]
    const input = Buffer.from(line('bad', 'Tunnels.'))
    const edited = await runCommand(t, edit, { cwd, input })
    assert.equal(edited.stdout, 'bad  published as run 2\n', edited.stderr)
    const { code, stdout, stderr } = await runCommand(t, command, { cwd })
    assert.equal(code, 0, stderr)
    assert.partialDeepStrictEqual(JSON.parse(stdout), { state: 'complete', counts: { succeeded: 2 } })
    assert.match(await readFile(join(cwd, 'jobs-results.jsonl'), 'utf8'), /Tunnels/)
  })

  test('interrupted and run again, it goes on and pays for nothing twice; a third run only writes the results', async (t) => {
    const cwd = await aFolder(t, ...THREE)
    const { options, askedBy, letGo } = holdAnswers()
    await using cloud = await startCloud({ azure: options, entra: { caPath: join(cwd, 'ca.pem') } })
    const env = { ...cloud.env, MAX_IN_FLIGHT: '1' }
    const first = startCommand(t, ['run', 'jobs.jsonl'], { cwd, env })
    await askedBy(first.ended.then(() => ({ status: 0 })))
    first.signalGroup('SIGINT')
    const log = join(cwd, '.promptbridge/worker.log')
    await until(async () => (await readFile(log, 'utf8')).includes('shutdown requested'), 'the worker goes on')
    letGo()
    const stopped = await first.ended
    assert.equal(stopped.code, 130, stopped.stderr)
    assert.match(stopped.stderr, /interrupted: 1 of 3 jobs .* Run the same command again to go on/)
    for (const expected of [/3 of 3 jobs of batch jobs-\w+ succeeded/, /3 of 3 jobs/]) {
      const { code, stdout, stderr } = await runCommand(t, ['run', 'jobs.jsonl'], { cwd, env })
      assert.equal(code, 0, stderr)
      assert.match(stdout, expected)
      assert.match(stdout, /cost: about \$0\.0\d+ \(prices of /)
    }
    const paid = (await callsOf(cloud.azure)).filter(({ detail }) => detail['billed'] === true)
    assert.equal(paid.length, 3)
    assert.deepEqual(await idsIn(join(cwd, 'jobs-results.jsonl')), ['a', 'b', 'c'])
  })

  for (const [title, args, setting] of [
    ['--store', ['--store', 'sqlite:own.db'], {}],
    ['STORE', [], { STORE: 'sqlite:own.db' }],
  ] as const) {
    test(`keeps everything in the file that ${title} names`, async (t) => {
      const cwd = await aFolder(t, line('a', 'Bridges.'))
      await using cloud = await startCloud({ entra: { caPath: join(cwd, 'ca.pem') } })
      const env = { ...cloud.env, STORE: '', ...setting }
      const ran = await runCommand(t, ['run', 'jobs.jsonl', ...args, '--batch', 'nightly'], { cwd, env })
      assert.equal(ran.code, 0, ran.stderr)
      assert.ok(!existsSync(join(cwd, '.promptbridge/promptbridge.db')))
      const shown = await runCommand(t, ['show', 'a', '--batch', 'nightly', '--store', 'sqlite:own.db'], { cwd })
      assert.match(shown.stdout, /^a {2}succeeded/)
    })
  }

  for (const [title, args, setting, code, expected] of [
    ['--store firestore', ['--store', 'firestore'], {}, 2, /run works on this machine, so --store must be sqlite:PATH/],
    ['--store of no known kind', ['--store', 'foo'], {}, 2, /--store: must be firestore or sqlite:PATH/],
    [
      '--store beside --demo',
      ['--store', 'sqlite:a.db', '--demo'],
      {},
      2,
      /'--store <store>' cannot be used with .*--demo/,
    ],
    [
      'STORE=firestore',
      [],
      { STORE: 'firestore' },
      2,
      /^store: sqlite:.*\.db, because run cannot use STORE=firestore\n/,
    ],
  ] as const) {
    test(`with ${title} it says which file it needs, or uses`, async (t) => {
      const cwd = await aFolder(t, ...THREE)
      const ran = await runHosted(['run', 'jobs.jsonl', ...args], { cwd, env: setting })
      assert.deepEqual([ran.code, expected.test(ran.stderr)], [code, true], ran.stderr)
      assert.ok(!existsSync(join(cwd, 'a.db')))
    })
  }

  test('while Azure refuses the token, it says why the jobs wait and how to fix it; Ctrl-C ends it', async (t) => {
    const cwd = await aFolder(t, ...THREE)
    await using cloud = await startCloud({ azure: { principals: [] }, entra: { caPath: join(cwd, 'ca.pem') } })
    const run = startCommand(t, ['run', 'jobs.jsonl'], { cwd, env: cloud.env })
    await run.noted(/jobs wait: .*\. Give .* the role "Cognitive Services OpenAI User"/)
    run.signalGroup('SIGINT')
    const { code, stderr } = await run.ended
    assert.deepEqual([code, stderr.match(/jobs wait/g)?.length], [130, 1], stderr)
  })

  test('without a login of az it says so in one line, and nothing is sent', async (t) => {
    const cwd = await aFolder(t, ...THREE)
    const az = `#!/bin/sh\necho "ERROR: Please run 'az login' to setup account." >&2\nexit 1\n`
    await writeFile(join(cwd, 'az'), az, { mode: 0o755 })
    const env = {
      ...{ PATH: `${cwd}:${process.env['PATH']}`, AZURE_TENANT_ID: 'contoso.onmicrosoft.com' },
      ...{ AZURE_OPENAI_ENDPOINT: 'https://contoso.openai.azure.com', AZURE_OPENAI_DEPLOYMENT: 'gpt-4o-mini' },
    }
    const { code, stderr } = await runCommand(t, ['run', 'jobs.jsonl'], { cwd, env })
    assert.deepEqual([code, stderr.trimEnd().split('\n').length], [1, 1], stderr)
    assert.match(stderr, /no account is logged in to the Azure CLI\. .*Run az login --tenant contoso/)
    assert.ok(!existsSync(join(cwd, '.promptbridge/promptbridge.db')))
  })

  test('names the settings file once, and missing settings are counted without the advice', async (t) => {
    const cwd = await aFolder(t, ...THREE)
    await writeFile(join(cwd, 'promptbridge.env'), 'AZURE_TENANT_ID=contoso.onmicrosoft.com\n')
    const { stderr } = await runHosted(['run', 'jobs.jsonl'], { cwd })
    const [first, second, ...others] = stderr.trimEnd().split('\n')
    assert.deepEqual([first, second], ['settings: promptbridge.env', 'promptbridge: 2 setting(s) need attention:'])
    assert.deepEqual([others.length, others.at(-1)?.startsWith('Set them in ')], [3, true], stderr)
  })

  for (const [title, lines, expected] of [
    ['settings that are missing', THREE, /AZURE_OPENAI_ENDPOINT is missing.*promptbridge\.env/s],
    ['a line that is no job', [...THREE, 'typo'], /1 line is no job, and nothing was sent:\n {2}line 4: /],
    ['an input without a job', [''], /there is no job in it/],
  ] as const) {
    test(`with ${title} it exits with 2, says what to change, and sends nothing`, async (t) => {
      const cwd = await aFolder(t, ...lines)
      const { code, stderr } = await runCommand(t, ['run', 'jobs.jsonl'], { cwd })
      assert.deepEqual([code, expected.test(stderr)], [2, true], stderr)
      assert.ok(!existsSync(join(cwd, '.promptbridge/promptbridge.db')))
    })
  }
})
