import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { jobKey } from '../../shared/job/job.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openStores } from '../../shared/stores/open.ts'
import { aNewDeadLetter } from '../support/dead-letter-builders.ts'
import { DAY_MS, sha256 } from '../support/job-builders.ts'
import { runHosted } from '../support/run-hosted.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const BATCH = 'nightly'
const key = jobKey(BATCH, 'doc-7', sha256)
const dependencies = { now: Date.now, emulators: { firestore: undefined, pubsub: undefined } }
const data = Buffer.from('{"id":"doc-7","prompt":"Far too long"}')

/** A store with one dead letter, and an editor that runs these steps, one each time it is opened. */
async function setUp(t: TestContext, steps: readonly string[] = []) {
  const path = await aTemporaryFile(t)
  const [editor, seen, opened] = [`${path}-editor.mjs`, `${path}-seen`, `${path}-opened`]
  const stores = await openStores({ kind: 'sqlite', path }, dependencies)
  const now = Date.now()
  const attributes = { batch: BATCH, 'pb-run': '1' }
  await stores.deadLetters.put(aNewDeadLetter({ key, run: 1, attributes, at: now, expireAt: now + DAY_MS }), data)
  await stores.close()
  const script = `
    import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
    const path = process.argv[2]
    const before = readFileSync(path, 'utf8')
    const n = existsSync('${opened}') ? readFileSync('${opened}', 'utf8').length : 0
    appendFileSync('${opened}', '.')
    writeFileSync('${seen}', path + '\\n' + before)
    const steps = [${steps.map((step) => `() => { ${step} }`).join(', ')}]
    const save = (text) => writeFileSync(path, text)
    steps[n]()`
  await writeFile(editor, script)
  const env = { EDITOR: `"${process.execPath}" "${editor}"`, NODE_OPTIONS: '' }
  const run = (...args: string[]) => runHosted(['dead-letters', ...args, '--store', `sqlite:${path}`], { env })
  return {
    path,
    run,
    edit: (...more: string[]) => run('edit', 'doc-7', '--batch', BATCH, ...more),
    seen: async () => {
      const [file = '', ...text] = (await readFile(seen, 'utf8')).split('\n')
      return { file, text: text.join('\n') }
    },
    async published() {
      const report = await openQueueReport(path)
      const messages = await report.list('promptbridge-jobs', { limit: 100 })
      report.close()
      return messages.map(({ data, attributes }) => [
        JSON.parse(Buffer.from(data).toString()).prompt,
        attributes['pb-run'],
      ])
    },
  }
}

const SHORTER = "save(before.replace('Far too long', 'Short'))"

test('dead-letters edit opens the job with its reason, publishes what is saved as the next run, and keeps no file', async (t) => {
  const { edit, seen, published, run } = await setUp(t, [SHORTER])
  assert.deepEqual(await edit(), { code: 0, stdout: 'doc-7  published as run 2\n', stderr: '' })
  const { file, text } = await seen()
  assert.match(
    text,
    /^# rejected \(content_filter\): Azure refused the request\n# To do: Change the prompt\.\n#.*\n\{\n {2}"id": "doc-7",/,
  )
  assert.equal(existsSync(file), false)
  assert.deepEqual(await published(), [['Short', '2']])
  assert.match((await run('list')).stdout, /^no open dead letters/)
})

test('dead-letters edit: a save without a change, or of nothing, publishes nothing', async (t) => {
  const { edit, published, run } = await setUp(t, ['save(before)', "save('# nothing')"])
  for (let n = 0; n < 2; n += 1) {
    const { code, stdout } = await edit()
    assert.deepEqual([code, stdout], [0, 'nothing was changed, and nothing was published\n'])
  }
  assert.deepEqual(await published(), [])
  assert.match((await run('list')).stdout, /^ +1 {2}rejected/)
})

test('dead-letters edit: text that is no job opens again with the problem, until it is one or saved as it is', async (t) => {
  const broken = "save('{')"
  const { edit, seen, published } = await setUp(t, [
    broken,
    'save(before)',
    broken,
    'save(\'{"id":"doc-7","prompt":"Short"}\')',
  ])
  const given = await edit()
  assert.equal(given.code, 2)
  assert.match(given.stderr, /nothing was published: the data is not JSON/)
  assert.match((await seen()).text, /^# This cannot be replayed: the data is not JSON\n[\s\S]*\n\{\n$/)
  assert.equal((await edit()).stdout, 'doc-7  published as run 2\n')
  assert.deepEqual(await published(), [['Short', '2']])
})

test('dead-letters edit: what another replay overtook is not published, and the text is kept', async (t) => {
  const { path, edit, seen, published, run } = await setUp(t, [SHORTER])
  const { deadLetters, close } = await openStores({ kind: 'sqlite', path }, dependencies)
  assert.equal(await deadLetters.beginReplay({ id: `${key}:1`, replays: { n: 0 } }, Date.now()), true)
  await close()
  const { code, stderr } = await edit()
  assert.equal(code, 1)
  assert.match(stderr, /nothing was published: it was replayed meanwhile, or is being replayed\nyour text is in /)
  assert.match(await readFile((await seen()).file, 'utf8'), /"Short"/)
  assert.deepEqual(await published(), [])
  assert.match(
    (await run('replay', `${key}:1`, '--force')).stdout,
    /^0 replayed\n +1 skipped: it was replayed meanwhile/,
  )
})

test('dead-letters edit --file publishes the file once, and refuses what is no job', async (t) => {
  const { edit, published, path } = await setUp(t)
  const file = `${path}.json`
  await writeFile(file, data)
  assert.equal((await edit('--file', file, '--json')).stdout, `{"letter":"${key}:1","published":false}\n`)
  await writeFile(file, '{"id":"doc-8","prompt":"Short"}')
  assert.match((await edit('--file', file)).stderr, /its id and its batch must stay as they are/)
  await writeFile(file, '{"id":"doc-7","prompt":"Short"}')
  const { stdout } = await edit('--file', file, '--json')
  assert.deepEqual(JSON.parse(stdout), { letter: `${key}:1`, published: true, id: 'doc-7', run: 2 })
  const again = await edit('--file', file)
  assert.equal(again.code, 1)
  assert.match(again.stderr, /it was replayed before; to edit and replay it again, use --include-replayed/)
  assert.deepEqual(await published(), [['Short', '2']])
  assert.equal((await edit('--file', '/nowhere.json', '--include-replayed')).code, 2)
})
