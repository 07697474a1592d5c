import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, glob, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { lockFolder } from '../../../cli/demo/lock-folder.ts'
import {
  type Command,
  type CommandOptions,
  newFolder,
  runCommand,
  startCommand,
} from '../../integration/cli-harness.ts'

const ROOT = join(import.meta.dirname, '../../..')
const accountsSchema = z.looseObject({
  batch: z.string(),
  jobs: z.number(),
  succeeded: z.number(),
  deadLettered: z.number(),
  pushes: z.number(),
  deferred: z.number(),
  modelCalls: z.number(),
  paidCalls: z.number(),
  throttledCalls: z.number(),
  tokenExchanges: z.number(),
  unknownOutcomes: z.number(),
  problems: z.array(z.string()),
})

interface Demo extends CommandOptions {
  readonly documents: number
}

/** The arguments of a demo whose files all lie in one folder. */
function demo(folder: string, documents: number, ...more: string[]): string[] {
  return ['demo', '--documents', String(documents), '--folder', folder, '--results', resultsIn(folder), ...more]
}

function resultsIn(folder: string): string {
  return join(folder, 'results.jsonl')
}

async function accountsOf(t: TestContext, folder: string, { documents, ...options }: Demo) {
  const { code, stdout, stderr } = await runCommand(t, demo(folder, documents, '--json'), options)
  return { code, stderr, accounts: accountsSchema.parse(JSON.parse(stdout)) }
}

const DOCUMENTS = 40
const JOBS = DOCUMENTS + 2

/** Starts a demo and resolves in its middle, with the name of its batch. */
async function startedDemo(t: TestContext, folder: string): Promise<{ command: Command; batch: string }> {
  const command = startCommand(t, demo(folder, DOCUMENTS))
  await command.printed(new RegExp(`[1-9]\\d*/${JOBS} settled`))
  return { command, batch: batchOf(folder) }
}

/** What other users of this machine may reach of a folder. */
async function openToOthers(folder: string): Promise<string[]> {
  const open = []
  for await (const path of glob('**/*', { cwd: folder })) {
    if (((await stat(join(folder, path))).mode & 0o077) !== 0) open.push(path)
  }
  return open
}

function batchOf(folder: string): string {
  using state = new DatabaseSync(join(folder, 'demo.db'), { readOnly: true })
  return String(state.prepare('SELECT name FROM promptBatches').get()?.['name'])
}

describe('a demo', { concurrency: 3 }, () => {
  test('that was killed with all its processes goes on where it was', async (t) => {
    const folder = await newFolder(t)
    const { command, batch } = await startedDemo(t, folder)
    command.signalGroup('SIGKILL')
    await command.groupEnded()

    const { code, accounts, stderr } = await accountsOf(t, folder, { documents: DOCUMENTS })
    assert.match(stderr, /Continues demo-.*, which was stopped/)
    assert.partialDeepStrictEqual(accounts, { batch, jobs: JOBS, succeeded: DOCUMENTS, problems: [] })
    assert.ok(accounts.paidCalls <= JOBS + accounts.unknownOutcomes)
    assert.equal(code, 0)
  })

  test('that is interrupted says so, leaves no process behind, and goes on with the same batch', async (t) => {
    const folder = await newFolder(t)
    const { command, batch } = await startedDemo(t, folder)
    command.signal('SIGINT')
    const { code, stdout } = await command.ended
    assert.equal(code, 130)
    assert.match(stdout, /Stopped\. Start the demo again to continue\.\s*$/)
    await command.groupEnded()

    const { accounts, ...next } = await accountsOf(t, folder, { documents: DOCUMENTS })
    assert.partialDeepStrictEqual(accounts, { batch, jobs: JOBS, succeeded: DOCUMENTS, problems: [] })
    assert.ok(accounts.paidCalls <= JOBS + accounts.unknownOutcomes)
    assert.equal(next.code, 0)
  })

  test('shows no more progress after a shutdown was requested', async (t) => {
    const { command } = await startedDemo(t, await newFolder(t))
    command.signal('SIGTERM')
    const { code, stdout } = await command.ended
    assert.equal(code, 130)
    assert.match(stdout.slice(stdout.indexOf('Stopping')), /^Stopping: [^\n]*\n {2}Stopped\. [^\n]*\n\n$/)
  })

  test('that is interrupted from the keyboard before its worker is ready ends at once', async (t) => {
    const folder = await newFolder(t)
    const command = startCommand(t, demo(folder, 4))
    await command.printed(/Promptbridge demo/)
    command.signalGroup('SIGINT')
    const { stdout, ...ended } = await command.ended
    assert.deepEqual(ended, { code: 130, stderr: '' })
    assert.match(stdout, /Stopped\.\s*$/)
    await command.groupEnded()

    const { accounts } = await accountsOf(t, folder, { documents: 3 })
    assert.partialDeepStrictEqual(accounts, { jobs: 5, problems: [] })
  })

  test('whose output is no longer read ends without an error message', async (t) => {
    const { command } = await startedDemo(t, await newFolder(t))
    command.stopReading()
    assert.partialDeepStrictEqual(await command.ended, { code: 130, stderr: '' })
    await command.groupEnded()
  })

  test('finds a record missing that was there before', async (t) => {
    const folder = await newFolder(t)
    const { command } = await startedDemo(t, folder)
    command.signalGroup('SIGINT')
    assert.equal((await command.ended).code, 130)
    const state = new DatabaseSync(join(folder, 'demo.db'))
    // Of the first job that was settled: its message is acknowledged by now.
    const first = "SELECT key FROM promptJobs WHERE status = 'succeeded' ORDER BY updatedAt LIMIT 1"
    assert.equal(state.prepare(`DELETE FROM promptJobs WHERE key = (${first})`).run().changes, 1)
    state.close()

    const { code, accounts } = await accountsOf(t, folder, { documents: DOCUMENTS })
    assert.deepEqual(accounts.problems, [`1 of ${JOBS} jobs have no record`])
    assert.equal(code, 1)
  })

  test('that is killed alone leaves no process behind', async (t) => {
    const { command } = await startedDemo(t, await newFolder(t))
    command.signal('SIGKILL')
    await command.ended
    await command.groupEnded()
  })

  test('accounts for every job, and the next one is another batch', async (t) => {
    const folder = await newFolder(t)
    const { code, accounts } = await accountsOf(t, folder, { documents: 24 })
    assert.equal(code, 0)
    assert.partialDeepStrictEqual(accounts, { jobs: 26, succeeded: 24, deadLettered: 2, problems: [] })
    // An answer that is lost on its way was paid for; a job is acknowledged once, duplicates aside.
    assert.ok(accounts.paidCalls >= accounts.succeeded)
    assert.ok(accounts.paidCalls <= accounts.jobs + accounts.unknownOutcomes)
    assert.ok(accounts.modelCalls >= accounts.paidCalls + accounts.throttledCalls)
    assert.ok(accounts.pushes - accounts.deferred >= accounts.jobs)
    assert.ok(accounts.tokenExchanges >= 1)
    assert.deepEqual(await openToOthers(folder), [])

    const next = await runCommand(t, demo(folder, 4))
    assert.equal(next.code, 0)
    assert.match(next.stdout, /✓ Every job is accounted for/)
    assert.doesNotMatch(next.stdout, /Going on/)
    assert.notEqual(batchOf(folder), accounts.batch)
  })

  test('prints a command that shows one of its jobs', async (t) => {
    const cwd = await newFolder(t)
    const { stdout } = await runCommand(t, demo(join(cwd, "it's here"), 4), { cwd })
    const [, printed = ''] = /npm run promptbridge -- (.*)\n/.exec(stdout) ?? []
    const words = spawnSync('sh', ['-c', `printf '%s\\0' ${printed}`], { encoding: 'utf8' }).stdout
    const shown = await runCommand(t, words.split('\0').slice(0, -1), { cwd })
    assert.equal(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /^fails on purpose: filtered {2}dead_lettered/)
  })

  test('runs undisturbed by what a developer has set for the cloud', async (t) => {
    const folder = await newFolder(t)
    await writeFile(join(folder, 'promptbridge.env'), 'OPENAI_API_KEY=sk-file\nPUSH_AUTH=nonsense\nDEPLOYMENTS=[]\n')
    const nowhere = 'http://127.0.0.1:9'
    const env = {
      ...{ OPENAI_API_KEY: 'sk-environment', AZURE_CLIENT_SECRET: 'secret', PORT: '1', STORE: 'sqlite:/nowhere' },
      ...{ HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, http_proxy: nowhere, NODE_USE_ENV_PROXY: '1' },
      ...{ GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json', AZURE_TENANT_ID: 'another' },
    }
    const { code, stderr } = await runCommand(t, ['demo', '--documents', '4', '--json'], { cwd: folder, env })
    assert.equal(code, 0, stderr)
    const results = await readFile(join(folder, 'demo-results.jsonl'), 'utf8')
    assert.equal(results.trimEnd().split('\n').length, 6)
  })

  test('lets no second one into its folder', async (t) => {
    const folder = await newFolder(t)
    using _held = lockFolder(folder)
    const second = await runCommand(t, demo(folder, 4))
    assert.equal(second.code, 1)
    assert.match(second.stderr, /another demo runs in .*; wait for its end, or use another folder\n$/)
  })

  test('whose stand-ins cannot start says which log has the reason', async (t) => {
    const folder = await newFolder(t)
    await mkdir(join(folder, 'entra.pem'))
    const command = startCommand(t, demo(folder, 4))
    const { code, stderr } = await command.ended
    assert.equal(code, 1)
    const log = join(folder, 'stand-ins.log')
    assert.equal(stderr, `promptbridge: the stand-ins ended with code 1; see ${log}\n`)
    assert.match(await readFile(log, 'utf8'), /EISDIR/)
    await command.groupEnded()
  })

  test('whose worker cannot start says at once which log has the reason', async (t) => {
    const folder = await newFolder(t)
    await writeFile(join(folder, 'promptbridge.env'), 'OPENAI_API_KEY=sk-in-the-state-folder\n')
    const { code, stderr } = await runCommand(t, demo(folder, 4))
    assert.equal(code, 1)
    const log = join(folder, 'worker.log')
    assert.equal(stderr, `promptbridge: the worker ended with code 1; see ${log}\n`)
    assert.match(await readFile(log, 'utf8'), /OPENAI_API_KEY is set/)
  })

  test('of packages without a README says so', async (t) => {
    const root = await newFolder(t)
    for (const part of ['cli', 'shared', 'package.json'])
      await cp(join(ROOT, part), join(root, part), { recursive: true })
    await mkdir(join(root, 'node_modules'))
    // A link is not looked into.
    for (const name of ['commander', 'zod', 'p-retry', 'is-network-error'])
      await symlink(join(ROOT, 'node_modules', name), join(root, 'node_modules', name))
    const { code, stderr } = await runCommand(t, demo(root, 4), { main: join(root, 'cli/main.ts') })
    assert.match(stderr, /^promptbridge: there is no README to summarise below .*node_modules; "npm ci" installs/)
    assert.equal(code, 1)
  })
})
