import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, glob, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { startChild } from '../../cli/child-process.ts'
import { openDemoState } from '../../cli/demo/demo-state.ts'
import { writeResultsFile } from '../../cli/results/write-results.ts'
import { openCallLog } from '../../local/call-log.ts'
import { openSqlite } from '../../shared/lib/sqlite.ts'
import { openWorkerStores } from '../../shared/stores/open.ts'
import { aSucceededRecord, START } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

// The most careless setting there is: what is created is as open as its creator allows.
let umask: number
before(() => {
  umask = process.umask(0)
})
after(() => process.umask(umask))

const ANSWER = '{"object":"chat.completion"}'
const LISTING = [{ record: aSucceededRecord }]
const READER = { readResult: async () => ANSWER }
const IN_FILE = { now: () => START, emulators: { firestore: undefined, pubsub: undefined } }

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

/** The mode of everything in a folder, and its own. */
async function modesIn(folder: string): Promise<Record<string, string>> {
  const modes: Record<string, string> = { '.': await modeOf(folder) }
  for await (const path of glob('**/*', { cwd: folder })) modes[path] = await modeOf(join(folder, path))
  return modes
}

test('database: the file, its log and its index are 0600 under a umask of 000', async (t) => {
  const path = await aTemporaryFile(t, 'state.db')
  const stores = await openWorkerStores({ kind: 'sqlite', path }, IN_FILE)
  t.after(() => stores.close())
  await stores.queue.publish('jobs', { data: Buffer.from('a prompt'), attributes: {} })
  const { '.': _, ...modes } = await modesIn(dirname(path))
  assert.deepEqual(modes, { 'state.db': '600', 'state.db-shm': '600', 'state.db-wal': '600' })
})

test('database: an existing file keeps its mode and its content, and its log has the same mode', async (t) => {
  const path = await aTemporaryFile(t, 'shared.db')
  const first = openSqlite(path, 'FULL')
  first.exec("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept')")
  first.close()
  await chmod(path, 0o660)
  const second = openSqlite(path, 'FULL')
  t.after(() => second.close())
  assert.equal(second.prepare('SELECT text FROM notes').get()?.['text'], 'kept')
  assert.deepEqual([await modeOf(path), await modeOf(`${path}-wal`)], ['660', '660'])
})

test('database: a link to a file that does not exist creates it 0600', async (t) => {
  const path = await aTemporaryFile(t, 'linked.db')
  await symlink('linked.db', `${path}.link`)
  openSqlite(`${path}.link`, 'FULL').close()
  assert.equal(await modeOf(path), '600')
})

test('database: in a folder that does not exist, the error is SQLite’s own', () => {
  assert.throws(() => openSqlite('/nowhere/state.db', 'FULL'), { code: 'ERR_SQLITE_ERROR' })
})

test('stand-ins: the call log is 0600', async (t) => {
  const path = await aTemporaryFile(t, 'calls.db')
  const log = await openCallLog(path)
  t.after(() => log.close())
  assert.equal(await modeOf(path), '600')
})

test('demo: its folder is 0700, its database, lock and logs are 0600', async (t) => {
  const path = await aTemporaryFile(t, 'deep/.promptbridge')
  const state = await openDemoState(path, START)
  t.after(() => state[Symbol.dispose]())
  const empty = join(dirname(path), 'empty.mjs')
  await writeFile(empty, '')
  const child = { name: 'a child', file: empty, args: [], folder: path, environment: {}, log: 'a.log', isHeard: false }
  await startChild(child).exited
  const { '.': folder, ...files } = await modesIn(path)
  assert.deepEqual([folder, await modeOf(dirname(path))], ['700', '700'])
  assert.deepEqual(Object.keys(files).toSorted(), ['a.log', ...filesOf('demo.db'), ...filesOf('demo.lock')])
  assert.deepEqual([...new Set(Object.values(files))], ['600'])
})

const filesOf = (database: string) => ['', '-shm', '-wal'].map((suffix) => database + suffix)

test('results: a new file is 0600 and its new folder 0700', async (t) => {
  const path = await aTemporaryFile(t, 'out/results.jsonl')
  await writeResultsFile(path, READER, LISTING)
  assert.deepEqual(await modesIn(dirname(path)), { '.': '700', 'results.jsonl': '600' })
})

test('results: an existing file, reached by a link too, is overwritten and keeps its mode', async (t) => {
  const path = await aTemporaryFile(t, 'results.jsonl')
  await writeFile(path, 'x'.repeat(10_000), { mode: 0o644 })
  const link = `${path}.link`
  await symlink(path, link)
  await writeResultsFile(link, READER, LISTING)
  assert.equal(await modeOf(path), '644')
  assert.match(await readFile(path, 'utf8'), /^\{.*"chat\.completion".*\}\n$/)
})

test('results: a link to a file that does not exist creates it 0600', async (t) => {
  const path = await aTemporaryFile(t, 'results.jsonl')
  await symlink(path, `${path}.link`)
  await writeResultsFile(`${path}.link`, READER, LISTING)
  assert.equal(await modeOf(path), '600')
})

test('results: a pipe takes them', async (t) => {
  const path = await aTemporaryFile(t, 'pipe')
  assert.equal(spawnSync('mkfifo', [path]).status, 0)
  const [, read] = await Promise.all([writeResultsFile(path, READER, LISTING), readFile(path, 'utf8')])
  assert.match(read, /^\{.*"chat\.completion".*\}\n$/)
})
