import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createJobStore } from '../../shared/stores/job-store/create-job-store.ts'
import { openStores } from '../../shared/stores/open.ts'
import { aNewDeadLetter } from '../support/dead-letter-builders.ts'
import { aClaim, aJob, anAnswer, DAY_MS } from '../support/job-builders.ts'
import { runHosted } from '../support/run-hosted.ts'
import { aTokenFailure } from '../support/telemetry-builders.ts'
import { newFolder } from './cli-harness.ts'

const EVIL = '\u001b]0;pwned\u0007 \u009b2J \u202egnp.exe \r \u007f'
/** All of them but the ends of lines and tabs. */
const UNSAFE = /(?![\n\t])[\p{Cc}\p{Cf}]/u

/** A store in which everything that others wrote is hostile. */
async function hostileStore(t: TestContext) {
  const path = join(await newFolder(t), 'jobs.db')
  const stores = await openStores(
    { kind: 'sqlite', path },
    { now: Date.now, emulators: { firestore: undefined, pubsub: undefined } },
  )
  const jobs = createJobStore(stores.documents, DAY_MS)
  const claim = await jobs.claim(aClaim({ job: aJob({ id: EVIL, metadata: { row: EVIL } }) }))
  assert.ok(claim.kind === 'run')
  const answer = JSON.stringify({ choices: [{ message: { content: `${EVIL}\n\tdone` } }] })
  await jobs.settle(claim.held, anAnswer({ result: answer }), Date.now())
  const letter = { jobId: EVIL, message: EVIL, code: EVIL, hint: EVIL, verified: true, attributes: { [EVIL]: EVIL } }
  const at = Date.now()
  const { id } = await stores.deadLetters.put(
    aNewDeadLetter({ ...letter, at, expireAt: at + DAY_MS }),
    Buffer.from(EVIL),
  )
  await stores.telemetry.putTokenFailure(
    aTokenFailure({ message: EVIL, hint: EVIL, lastAt: at, expireAt: at + DAY_MS }),
  )
  await stores.close()
  const run = (...args: string[]) => runHosted([...args, '--store', `sqlite:${path}`])
  return { run, letter: id, batch: claim.held.record.batch, answer }
}

test('no command prints a character that others wrote to steer the terminal, and JSON holds the same text', async (t) => {
  const { run, letter, batch, answer } = await hostileStore(t)
  const commands: readonly (readonly string[])[] = [
    ['show', EVIL, '--batch', batch],
    ['show', EVIL, '--batch', batch, '--json'],
    ['show', `${EVIL}\nforged`],
    ['results', batch],
    ['results', `${EVIL}\nforged`],
    ['dead-letters', 'list'],
    ['dead-letters', 'list', '--json'],
    ['dead-letters', 'show', letter],
    ['dead-letters', 'show', letter, '--json'],
    ['dead-letters', 'show', `${EVIL}\nforged`],
    ['token', 'failures'],
    ['token', 'failures', '--json'],
    ['cancel', EVIL, '--batch', batch],
    ['show', EVIL, `--${EVIL}`],
    [EVIL],
  ]
  for (const command of commands) {
    const { stdout, stderr } = await run(...command)
    assert.doesNotMatch(stdout + stderr, UNSAFE, command.join(' '))
    assert.match(stdout + stderr, /pwned/, command.join(' '))
    assert.doesNotMatch(stderr, /^forged/m, command.join(' '))
  }
  const shown = JSON.parse((await run('show', EVIL, '--batch', batch, '--json')).stdout)
  const [line] = (await run('results', batch)).stdout
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text))
  assert.deepEqual([shown.id, shown.result], [EVIL, JSON.parse(answer)])
  assert.deepEqual([line.custom_id, line.response.body], [EVIL, JSON.parse(answer)])
})
