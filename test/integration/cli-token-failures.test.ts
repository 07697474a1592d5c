import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { describeFailure } from '../../cli/token/describe-failure.ts'
import { openSqliteTelemetry } from '../../shared/stores/sqlite/sqlite-telemetry.ts'
import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { onStore } from '../support/cli-store.ts'
import { DAY_MS } from '../support/job-builders.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'
import { aTemporaryFile } from '../support/temporary-file.ts'

const HOUR_MS = 60 * 60 * 1_000

/** An episode that was resolved so long ago. */
function resolved(id: string, agoMs: number): TokenFailure {
  const resolvedAt = Date.now() - agoMs
  const expireAt = resolvedAt + 30 * DAY_MS
  return aTokenFailure({ id, firstAt: resolvedAt - 60_000, lastAt: resolvedAt, resolvedAt, expireAt })
}

/** Makes a store that holds these, and gives its path. */
async function storeOf(t: TestContext, ...failures: readonly TokenFailure[]): Promise<string> {
  const path = await aTemporaryFile(t, 'telemetry.db')
  const telemetry = await openSqliteTelemetry(path)
  for (const failure of failures) await telemetry.putTokenFailure(failure)
  telemetry.close()
  return path
}

function list(path: string, ...more: string[]) {
  return onStore(path, 'token', 'failures', ...more)
}

const idsOf = (stdout: string) =>
  stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line).id)

test('token failures: those of the last day are listed, the latest first, with an empty line between them', async (t) => {
  const [older, newer] = [resolved('older', 23 * HOUR_MS), resolved('newer', HOUR_MS)]
  const listed = await list(await storeOf(t, older, newer, resolved('old', 25 * HOUR_MS)))
  assert.deepEqual(listed, { code: 0, stdout: `${describeFailure(newer)}\n${describeFailure(older)}`, stderr: '' })
})

test('token failures --json: each is printed as it is kept, on a line of its own', async (t) => {
  const failure = resolved('one', HOUR_MS)
  const { code, stdout, stderr } = await list(await storeOf(t, failure, resolved('two', 2 * HOUR_MS)), '--json')
  assert.deepEqual([code, idsOf(stdout), stderr], [0, ['one', 'two'], ''])
  assert.deepEqual(JSON.parse(stdout.split('\n')[0] ?? ''), failure)
})

test('token failures --since limits how far the list goes back', async (t) => {
  const path = await storeOf(t, resolved('1h ago', HOUR_MS), resolved('25h ago', 25 * HOUR_MS))
  assert.deepEqual(idsOf((await list(path, '--json', '--since', '2d')).stdout), ['1h ago', '25h ago'])
  assert.deepEqual(idsOf((await list(path, '--json', '--since', '61m')).stdout), ['1h ago'])
  assert.deepEqual(idsOf((await list(path, '--json', '--since', '99999d')).stdout), ['1h ago', '25h ago'])
})

test('token failures --limit keeps the latest, and says that there may be more', async (t) => {
  const path = await storeOf(t, ...[3, 1, 2].map((hours) => resolved(`${hours}h ago`, hours * HOUR_MS)))
  const { code, stdout, stderr } = await list(path, '--json', '--limit', '2')
  assert.deepEqual([code, idsOf(stdout)], [0, ['1h ago', '2h ago']])
  assert.equal(stderr, 'promptbridge: these are the latest 2; there may be more. To see more, use --limit\n')
})

test('token failures: an empty list says so, and exits with 0', async (t) => {
  const path = await storeOf(t, resolved('old', 25 * HOUR_MS))
  assert.deepEqual(await list(path), { code: 0, stdout: 'no token failures in the last 24h\n', stderr: '' })
  const soon = await list(path, '--since', '30m')
  assert.deepEqual(soon, { code: 0, stdout: 'no token failures in the last 30m\n', stderr: '' })
  assert.deepEqual(await list(path, '--json'), { code: 0, stdout: '', stderr: '' })
})

test('token failures: one that cannot be read is counted, and the others are listed', async (t) => {
  const failure = resolved('one', HOUR_MS)
  const path = await storeOf(t, failure)
  const db = new DatabaseSync(path)
  db.prepare('INSERT INTO tokenFailures VALUES (?, ?, ?, ?)').run('torn', Date.now(), failure.expireAt, '{')
  db.close()
  const stderr = 'promptbridge: 1 more in the store cannot be read\n'
  assert.deepEqual(await list(path), { code: 0, stdout: describeFailure(failure), stderr })
})

test('token failures: a database file that is missing is an error', async (t) => {
  const path = await aTemporaryFile(t, 'nowhere.db')
  const { code, stderr } = await list(path)
  assert.equal(stderr, `promptbridge: there is no file ${path}; name the file of the records with --store\n`)
  assert.equal(code, 1)
})
