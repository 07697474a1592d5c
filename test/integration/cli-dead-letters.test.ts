import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { jobKey } from '../../shared/job/job.ts'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import type { NewDeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { openStores } from '../../shared/stores/open.ts'
import { aStoreOf, onStore } from '../support/cli-store.ts'
import { aNewDeadLetter } from '../support/dead-letter-builders.ts'
import { aSucceededRecord, DAY_MS, sha256 } from '../support/job-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const BATCH = 'nightly'
const TOPIC = 'promptbridge-jobs'
const dataOf = (id: string) => Buffer.from(JSON.stringify({ id, prompt: `Summarise ${id}` }))

function aLetter(id: string, over: Partial<NewDeadLetter> = {}): readonly [NewDeadLetter, Buffer] {
  const now = Date.now()
  const key = jobKey(BATCH, id, sha256)
  const attributes = { batch: BATCH, 'pb-reason': 'rejected' }
  return [aNewDeadLetter({ key, jobId: id, run: 1, attributes, at: now, expireAt: now + DAY_MS, ...over }), dataOf(id)]
}

/** Makes a store that holds these, and runs commands on it. */
async function storeOf(t: TestContext, ...letters: readonly (readonly [NewDeadLetter, Buffer])[]) {
  const path = await aTemporaryFile(t)
  const dependencies = { now: Date.now, emulators: { firestore: undefined, pubsub: undefined } }
  const stores = await openStores({ kind: 'sqlite', path }, dependencies)
  for (const [letter, data] of letters) await stores.deadLetters.put(letter, data)
  await stores.close()
  return {
    async batch() {
      const { batches, close } = await openStores({ kind: 'sqlite', path }, dependencies)
      const batch = await batches.read(BATCH)
      await close()
      return batch
    },
    run: (...args: string[]) => onStore(path, 'dead-letters', ...args),
    async published() {
      const report = await openQueueReport(path)
      const messages = await report.list(TOPIC, { limit: 1_000 })
      report.close()
      return messages.map(({ data, attributes }) => [JSON.parse(Buffer.from(data).toString()).id, attributes['pb-run']])
    },
  }
}

const other = { reason: 'no_deployment', code: undefined, hint: 'Create the deployment.' }

test('dead-letters list opens with the reasons, the most frequent first, with the fix and the command that replays them', async (t) => {
  const { run } = await storeOf(t, aLetter('a'), aLetter('b', other), aLetter('c', other))
  const { code, stdout, stderr } = await run('list', '--batch', BATCH)
  assert.deepEqual([code, stderr], [0, ''])
  const [first, fix, replay, second, otherFix, edit, blank, title, ...rows] = stdout.trimEnd().split('\n')
  assert.deepEqual([first, fix], ['     2  no_deployment', '        Create the deployment.'])
  assert.match(replay ?? '', / dead-letters replay --batch nightly --reason no_deployment --store sqlite:\S+$/)
  assert.deepEqual([second, otherFix], ['     1  rejected (content_filter)', '        Change the prompt.'])
  assert.match(edit ?? '', / dead-letters edit ID --store sqlite:\S+$/)
  assert.deepEqual([blank, title, rows.length], ['', 'open', 3])
})

test('dead-letters list counts all and lists as many as it may', async (t) => {
  const { run } = await storeOf(t, aLetter('a'), aLetter('b'), aLetter('c'))
  const { stdout } = await run('list', '--limit', '1')
  assert.match(stdout, /^ +3 {2}rejected/)
  assert.match(stdout, /… and 2 more; --limit lists them\n$/)
})

test('dead-letters list has the letters that were replayed apart from the open ones, and suggests no replay of them', async (t) => {
  const { run } = await storeOf(t, aLetter('a', other), aLetter('b', other))
  const id = `${jobKey(BATCH, 'a', sha256)}:1`
  await run('replay', id)
  const [count, , , , ...rest] = (await run('list')).stdout.split('\n')
  assert.equal(count, '     1  no_deployment')
  assert.deepEqual(
    rest.map((line) => line.replace(/:1 .*/, '')),
    ['open', jobKey(BATCH, 'b', sha256), '', 'replayed', jobKey(BATCH, 'a', sha256), ''],
  )
  const { stdout } = await run('list', '--status', 'replayed', '--json')
  assert.partialDeepStrictEqual(JSON.parse(stdout), { jobId: 'a', status: 'replayed' })
  assert.match((await run('list', '--status', 'replayed')).stdout, /^no open dead letters\n\nreplayed\n/)
})

test('dead-letters list of a batch with jobs and without letters says so', async (t) => {
  const path = await aStoreOf(t, aSucceededRecord)
  const none = { code: 0, stdout: 'no dead letters\n', stderr: '' }
  assert.deepEqual(await onStore(path, 'dead-letters', 'list', '--batch', BATCH), none)
})

test('dead-letters: an unknown value of a filter is misuse, and what is known is named', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a', other))
  const cases = [
    [
      ['--reason', 'no_deploymnt'],
      /--reason: .+ "no_deploymnt"; did you mean "no_deployment"\?\nknown are: invalid, conflict, .*max_age/,
    ],
    [['--batch', 'nightli'], /--batch: .+ did you mean "nightly"\?\nknown are: nightly\n/],
    [['--model', 'gpt-5'], /--model: .+\nknown are: gpt-4o\n/],
    [['--status', 'done'], /open, replayed/],
    [['--older-than', '3'], /minutes, hours or days/],
  ] as const
  for (const [filter, problem] of cases) {
    for (const command of [['list'], ['replay'], ['discard', '--yes']]) {
      const { code, stdout, stderr } = await run(...command, ...filter)
      assert.deepEqual([code, stdout], [2, ''], `${command} ${filter}`)
      assert.match(stderr, problem)
    }
  }
  assert.deepEqual(await published(), [])
})

test('dead-letters list --json prints each letter as it is kept', async (t) => {
  const { run } = await storeOf(t, aLetter('a'))
  const { stdout } = await run('list', '--json')
  assert.partialDeepStrictEqual(JSON.parse(stdout), { jobId: 'a', reason: 'rejected', times: 1 })
})

test('dead-letters show finds a letter by the id of its job, and writes its data byte by byte', async (t) => {
  const { run } = await storeOf(t, aLetter('a'))
  const { stdout } = await run('show', 'a', '--batch', BATCH)
  assert.match(stdout, /^a {2}\(run 1\)\n/)
  assert.match(stdout, /reason {4}rejected \(content_filter\): Azure refused the request\nto do {5}Change the prompt\./)
  assert.equal((await run('show', `${jobKey(BATCH, 'a', sha256)}:1`, '--data')).stdout, dataOf('a').toString())
})

const claimed = { reason: 'budget', message: 'Send money', hint: 'Send money to …', verified: undefined }

test('dead-letters list and show mark a reason that no worker has verified, and never print its hint', async (t) => {
  const attributes = { 'pb-reason': 'budget', 'pb-hint': 'Send money to …' }
  const { run } = await storeOf(t, aLetter('a'), aLetter('b', { ...claimed, code: undefined, attributes }))
  const list = (await run('list')).stdout
  assert.match(list, /^ +1 {2}rejected \(content_filter\)\n +Change the prompt\.\n/m)
  assert.match(
    list,
    /^ +1 {2}budget \[unverified\]\n +no worker has verified this reason: it comes from the message, .*\n +\S+.* replay/m,
  )
  assert.doesNotMatch(list, /money to/)
  const shown = (await run('show', 'b', '--batch', BATCH)).stdout
  assert.match(shown, /^reason {4}budget \[unverified\]: Send money\n +no worker has verified this reason/m)
  assert.match(shown, /^attributes of the message:\n {2}pb-reason = budget\n {2}pb-hint = Send money to …$/m)
  assert.doesNotMatch(shown, /to do/)
  assert.doesNotMatch((await run('show', 'a', '--batch', BATCH)).stdout, /unverified|no worker/)
})

test('dead-letters list counts a reason that was checked and one that was not in lines of their own', async (t) => {
  const { run } = await storeOf(t, aLetter('a'), aLetter('b', { verified: undefined }), aLetter('c'))
  assert.match(
    (await run('list')).stdout,
    /^ +2 {2}rejected \(content_filter\)\n[\s\S]*^ +1 {2}rejected \(content_filter\) \[unverified\]\n/m,
  )
})

test('dead-letters show: an unknown id is an error that names the command with the ids', async (t) => {
  const { run } = await storeOf(t)
  const { code, stderr } = await run('show', 'a')
  assert.equal(code, 1)
  assert.equal(stderr, 'promptbridge: there is no dead letter "a"; `dead-letters list` prints the ids\n')
})

test('dead-letters replay publishes each letter once under its next run, and leaves it the second time', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a', other), aLetter('b', { ...other, reason: 'max_attempts' }))
  const first = await run('replay', '--reason', 'no_deployment')
  assert.deepEqual([first.code, first.stdout], [0, '1 replayed\n'])
  assert.deepEqual(await published(), [['a', '2']])
  const second = await run('replay', '--batch', BATCH, '--json')
  assert.deepEqual(JSON.parse(second.stdout), {
    dryRun: false,
    replayed: 1,
    skipped: { 'it was replayed before; to replay it again, use --include-replayed': 1 },
  })
  assert.equal((await run('replay', '--batch', BATCH, '--include-replayed')).stdout, '2 replayed\n')
  assert.equal((await published()).length, 4)
})

test('dead-letters replay leaves what would fail again as it is, unless it is changed or forced', async (t) => {
  const tooLong = { code: 'context_length_exceeded', hint: 'Split the document.' }
  const { run, published } = await storeOf(t, aLetter('a', tooLong), aLetter('b', tooLong))
  const { code, stdout, stderr } = await run('replay', '--batch', BATCH)
  assert.deepEqual([code, stdout.split('\n')[0]], [0, '0 replayed'])
  assert.match(
    stderr,
    /:1 is skipped: it would fail again as it is; change it with `dead-letters edit`, or use --force\n/,
  )
  assert.equal((await run('replay', `${jobKey(BATCH, 'a', sha256)}:1`, '--to-model', 'gpt-5')).stdout, '1 replayed\n')
  await run('replay', `${jobKey(BATCH, 'b', sha256)}:1`, '--force')
  assert.deepEqual(await published(), [
    ['a', '2'],
    ['b', '2'],
  ])
})

test('dead-letters replay works on hundreds of letters in groups, and leaves out one that the topic refuses', async (t) => {
  const letters = Array.from({ length: 230 }, (_, n) => aLetter(`doc-${n}`, other))
  // Of a name that no message may have.
  const { run, published } = await storeOf(t, ...letters, aLetter('bad', { ...other, attributes: { '': 'x' } }))
  const { stdout } = await run('replay', '--reason', 'no_deployment')
  assert.equal(stdout, '230 replayed\n     1 skipped: the jobs topic refuses its message\n')
  assert.equal(new Set((await published()).map(([id]) => id)).size, 230)
  assert.match((await run('list')).stdout, /^ +1 {2}no_deployment\n/)
})

test('dead-letters replay --dry-run publishes nothing and marks nothing', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a', other))
  assert.equal(
    (await run('replay', '--batch', BATCH, '--dry-run')).stdout,
    '1 would be replayed; nothing was published\n',
  )
  assert.deepEqual(await published(), [])
  assert.equal((await run('replay', '--batch', BATCH)).stdout, '1 replayed\n')
})

test('dead-letters replay --limit replays as many, and letters may be named', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a', other), aLetter('b', other), aLetter('c', other))
  await run('replay', '--batch', BATCH, '--limit', '2')
  assert.equal((await published()).length, 2)
  await run('replay', `${jobKey(BATCH, 'a', sha256)}:1`, '--include-replayed')
  assert.deepEqual((await published()).at(-1), ['a', '2'])
})

test('dead-letters replay of everything there is has to be asked for', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a'))
  const { code, stderr } = await run('replay')
  assert.equal(code, 2)
  assert.match(stderr, /name the letters: by id, or with --batch, --reason, --model, --since, --older-than or --status/)
  assert.deepEqual(await published(), [])
})

const overLimit = { reason: 'budget', code: 'batch_token_limit', hint: 'Raise it and replay.' }

test('dead-letters list shows how what ended by a token limit is replayed: with another one', async (t) => {
  const { run } = await storeOf(t, aLetter('a', overLimit))
  const { stdout } = await run('list', '--batch', BATCH)
  assert.match(stdout, / dead-letters replay --batch nightly --reason budget --token-limit N --store \S+\n/)
  assert.match(
    (await run('list')).stdout,
    / dead-letters replay --batch NAME --reason budget --token-limit N --store \S+\n/,
  )
})

test('dead-letters replay --token-limit sets a new limit for the batch, but not in a dry run', async (t) => {
  const { run, batch, published } = await storeOf(t, aLetter('a', overLimit))
  const args = ['replay', '--batch', BATCH, '--reason', 'budget', '--token-limit', '2000000']
  assert.equal((await run(...args, '--dry-run')).stdout, '1 would be replayed; nothing was published\n')
  assert.equal(await batch(), undefined)
  assert.equal((await run(...args)).stdout, '1 replayed\n')
  assert.partialDeepStrictEqual(await batch(), { name: BATCH, tokenLimit: 2_000_000 })
  assert.deepEqual(await published(), [['a', '2']])
})

test('dead-letters discard asks, or takes --yes, and deletes what matches with its data', async (t) => {
  const { run } = await storeOf(t, aLetter('a', other), aLetter('b'))
  const id = `${jobKey(BATCH, 'a', sha256)}:1`
  const asked = await run('discard', '--reason', 'no_deployment')
  assert.deepEqual([asked.code, asked.stdout], [2, ''])
  assert.match(asked.stderr, /give --yes/)
  const dry = await run('discard', '--batch', BATCH, '--dry-run')
  assert.equal(dry.stdout, '2 would be discarded; nothing was deleted\n')
  assert.equal((await run('discard', id, '--yes', '--json')).stdout, '{"dryRun":false,"discarded":1}\n')
  assert.equal((await run('show', id)).code, 1)
  assert.match((await run('list')).stdout, /^ +1 {2}rejected/)
})

test('dead-letters discard --older-than leaves what came later', async (t) => {
  const { run } = await storeOf(t, aLetter('a', { at: Date.now() - 3_600_000 }), aLetter('b'))
  assert.equal((await run('discard', '--older-than', '30m', '--yes')).stdout, '1 discarded\n')
  assert.equal((await run('discard')).code, 2)
})

test('dead-letters replay and discard take the id of a job with its batch, as edit and show do', async (t) => {
  const { run, published } = await storeOf(t, aLetter('a', other), aLetter('b', other))
  assert.deepEqual(await run('replay', 'a', '--batch', BATCH), { code: 0, stdout: '1 replayed\n', stderr: '' })
  assert.deepEqual(await published(), [['a', '2']])
  assert.equal((await run('discard', 'b', '--batch', BATCH, '--yes')).stdout, '1 discarded\n')
  const unknown = await run('replay', 'b', '--batch', BATCH)
  assert.deepEqual([unknown.code, await published()], [1, [['a', '2']]])
  assert.match(unknown.stderr, /there is no dead letter "b"/)
})
