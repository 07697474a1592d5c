import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openQueueReport } from '../../shared/queues/sqlite/queue-report.ts'
import { openSqlitePausedDeployments } from '../../shared/stores/sqlite/sqlite-paused-deployments.ts'
import { readEnvelope } from '../contract/queue-endpoint.ts'
import { newFolder, runCommand, until } from './cli-harness.ts'
import { drained, newEndpoint, newFile, startPush } from './pubsub-push-harness.ts'

const TOPIC = 'promptbridge-jobs'

test('what is submitted during a pause is delivered after it, by its first attempt', async (t) => {
  const file = await newFile(t)
  const endpoint = await newEndpoint(t)
  const push = await startPush(t, file, endpoint.url, { topic: TOPIC, deadLetter: { topic: 'dead' } })
  const jobs = join(await newFolder(t), 'jobs.jsonl')
  const run = (...args: string[]) => runCommand(t, [...args, '--store', `sqlite:${file}`])

  await writeFile(jobs, '{"id": "before", "prompt": "one"}\n')
  await run('submit', jobs)
  const underWay = await endpoint.next()
  const paused = await run('pause')
  const resume = `promptbridge resume --store sqlite:${file}`
  assert.deepEqual(
    [paused.code, paused.stdout],
    [0, `${TOPIC}  paused\nRunning jobs continue. To deliver again: ${resume}\n`],
  )
  assert.match((await run('pause')).stdout, /^promptbridge-jobs {2}was paused already\n/)

  await writeFile(jobs, '{"id": "a", "prompt": "one"}\n{"id": "b", "prompt": "two"}\n')
  await run('submit', jobs)
  underWay.answer(503)
  // It came back, and its backoff is over at once: it too waits.
  const report = await openQueueReport(file)
  t.after(() => report.close())
  const allWait = async () => (await report.counts(TOPIC, Date.now())).waiting === 3
  await until(allWait, 'not all jobs wait')
  assert.partialDeepStrictEqual(await push.status(), [{ delivered: 1, nacked: 1, waiting: 3, outstanding: 0 }])

  assert.deepEqual(await run('resume', '--json'), {
    code: 0,
    stdout: `${JSON.stringify([{ subscription: TOPIC, state: 'resumed' }])}\n`,
    stderr: '',
  })
  const attempts = new Map<unknown, number | undefined>()
  for (let n = 0; n < 3; n += 1) {
    const arrived = await endpoint.next()
    const { data, deliveryAttempt } = readEnvelope(arrived)
    attempts.set(JSON.parse(data.toString()).id, deliveryAttempt)
    arrived.answer(204)
  }
  assert.deepEqual(
    attempts,
    new Map([
      ['a', 1],
      ['b', 1],
      ['before', 2],
    ]),
  )
  assert.partialDeepStrictEqual(await drained(push), { acked: 3, nacked: 1 })
  assert.equal((await run('resume')).stdout, `${TOPIC}  was not paused\n`)
})

test('there is nothing to pause where no queue is, and no other subscription than the topic’s', async (t) => {
  const nowhere = await runCommand(t, ['pause', '--store', 'sqlite:/no/such.db'])
  assert.deepEqual([nowhere.code, nowhere.stdout], [1, ''])
  const file = await newFile(t)
  await startPush(t, file, 'http://127.0.0.1:9')
  const other = await runCommand(t, ['pause', '--subscription', 'other', '--store', `sqlite:${file}`])
  assert.deepEqual([other.code, other.stdout], [1, ''])
  assert.match(other.stderr, /^promptbridge: JOBS_TOPIC has no push subscription other$/m)
})

test('a deployment is paused and resumed for all instances, and an unknown name is noted', async (t) => {
  const file = await newFile(t)
  const { close } = await openSqlitePausedDeployments(file)
  close()
  const DEPLOYMENTS = JSON.stringify([{ model: 'm', endpoint: 'https://eu.openai.azure.com', deployment: 'eu' }])
  const run = (...args: string[]) =>
    runCommand(t, [...args, '--deployment', 'eu', '--store', `sqlite:${file}`], { env: { DEPLOYMENTS } })
  const paused = await run('pause')
  assert.deepEqual([paused.code, paused.stdout.split('\n')[0], paused.stderr], [0, 'eu  paused', ''])
  assert.match((await run('pause')).stdout, /^eu {2}was paused already\n/)
  assert.deepEqual(JSON.parse((await run('resume', '--json')).stdout), [{ deployment: 'eu', state: 'resumed' }])
  assert.match((await run('resume')).stdout, /^eu {2}was not paused\n/)
  assert.equal((await run('pause', '--subscription', 'x')).code, 2)
  const unknown = await runCommand(t, ['pause', '--deployment', 'us', '--store', `sqlite:${file}`], {
    env: { DEPLOYMENTS },
  })
  assert.match(unknown.stderr, /the settings here have no deployment of this name; they have: eu\n$/)
})
