import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { startCloud } from '../support/stand-ins.ts'
import { startWorker } from '../support/worker.ts'

const ROOT = join(import.meta.dirname, '../..')
const CLIENT = pathToFileURL(join(ROOT, 'shared/client/index.ts')).href

test('README: its example publishes two jobs, and prints their answers once a worker has run them', async (t) => {
  await using cloud = await startCloud()
  await using worker = await startWorker(cloud)
  const run = runExample(worker.file)
  t.after(() => rmSync(run.folder, { recursive: true }))
  assert.equal(await run.once(), '')
  const report = await openQueueReport(worker.file)
  const messages = await report.list('promptbridge-jobs', { limit: 10 })
  report.close()
  assert.equal(messages.length, 2)
  for (const { data, attributes } of messages) await worker.push(data, attributes)
  const lines = (await run.once()).trimEnd().split(/^(?=doc-)/m)
  assert.deepEqual(lines.map((line) => line.slice(0, 5)).toSorted(), ['doc-7', 'doc-8'])
  for (const line of lines) assert.match(line, /chat\.completion/)
})

/** The example on a SQLite file, with the client as it stands in the repository. */
function runExample(file: string) {
  const [, source = ''] = /```ts\n([\s\S]+?)```/.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'readme-example-'))
  const path = join(folder, 'example.mts')
  const here = source
    .replace("'promptbridge'", `'${CLIENT}'`)
    .replace("{ project: 'my-project' }", `{ store: 'sqlite:${file}' as const }`)
  assert.ok(here.includes(CLIENT) && here.includes(file))
  writeFileSync(path, here)
  const once = async () => (await promisify(execFile)(process.execPath, [path])).stdout
  return { folder, once }
}
