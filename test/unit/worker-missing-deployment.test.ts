import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Failure } from '../../shared/job/failures.ts'
import type { ModelReply } from '../../shared/models/provider.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import { type MissingDeployments, withSighting } from '../../shared/stores/missing-deployments.ts'
import { openSqliteMissingDeployments } from '../../shared/stores/sqlite/sqlite-missing-deployments.ts'
import { createMissingEpisodes } from '../../worker/limits/missing-episodes.ts'
import { createLog } from '../../worker/observe/log.ts'
import { aDeployment } from '../support/deployment-builders.ts'
import { aJob, START } from '../support/job-builders.ts'
import { circuitsOf, providerOf } from '../support/job-processing.ts'
import { aReply, fateOf, virtualJobs } from '../support/virtual-jobs.ts'

const MINUTE_MS = 60_000
const log = createLog('silent', { write: () => undefined })
const deployment = aDeployment({ deployment: 'd' })
const second = aDeployment({ deployment: 'e', priority: 2 })
const hint = 'Create the deployment.'
const failure: Failure = { kind: 'no_deployment', message: 'no such deployment', hint, httpStatus: 404 }
const notFound: ModelReply = { ok: false, failure }
const answer = aReply()

/** A store that counts how often it is used, and can be away. */
function aStore() {
  const used = { found: 0, ended: 0, isAway: false }
  const use = (what: 'found' | 'ended') => {
    used[what] += 1
    if (used.isAway) throw new StoreError('unavailable', 'away')
  }
  const store: MissingDeployments = {
    async found() {
      use('found')
      return 7
    },
    async end() {
      use('ended')
    },
  }
  const clock = { now: START }
  const episodes = createMissingEpisodes({ store, now: () => clock.now, log })
  const answered = async () => {
    const work: Promise<void>[] = []
    episodes.answered(deployment, (each) => void work.push(each))
    await Promise.all(work)
  }
  return { used, clock, answered, measure: () => episodes.measure(deployment, failure) }
}

describe('the episode of a missing deployment', () => {
  const episode = { deployment: 'd', lastedMs: 100, isOver: false }

  test('begins where there is none, where the last one is over, or was not seen for half an hour', () => {
    assert.equal(withSighting('d', undefined, 0).lastedMs, 0)
    assert.equal(withSighting('d', { ...episode, isOver: true }, 5).lastedMs, 0)
    assert.equal(withSighting('d', episode, 30 * MINUTE_MS).lastedMs, 0)
  })

  test('goes on up to the very millisecond before that, and never backwards', () => {
    assert.equal(withSighting('d', episode, 30 * MINUTE_MS - 1).lastedMs, 30 * MINUTE_MS + 99)
    assert.equal(withSighting('d', episode, -5).lastedMs, 100)
  })

  test('is read once for requests that find it missing together', async () => {
    const { measure, used } = aStore()
    const found = await Promise.all([measure(), measure(), measure()])
    assert.deepEqual(found[2], { ...failure, missingForMs: 7 })
    assert.equal(used.found, 1)
    await measure()
    assert.equal(used.found, 2)
  })

  test('has no known length while the store is away', async () => {
    const { measure, used } = aStore()
    used.isAway = true
    assert.deepEqual(await measure(), failure)
  })

  test('is ended by the first answer after the start, then every five minutes at most, and never per job', async () => {
    const { answered, used, clock } = aStore()
    for (let jobs = 0; jobs < 1_000; jobs += 1) await answered()
    assert.equal(used.ended, 1)
    clock.now += 5 * MINUTE_MS
    await answered()
    await answered()
    assert.equal(used.ended, 2)
  })

  test('is ended by the first answer after this instance saw it missing', async () => {
    const { answered, measure, used } = aStore()
    await answered()
    await measure()
    await answered()
    assert.equal(used.ended, 2)
  })

  test('that could not be ended is ended by an answer ten seconds later', async () => {
    const { answered, used, clock } = aStore()
    used.isAway = true
    await answered()
    await answered()
    clock.now += 10_000
    used.isAway = false
    await answered()
    await answered()
    assert.equal(used.ended, 2)
  })
})

/** Workers in virtual time that share a store, whose model answers as `reply` says. */
async function workersWhere(t: TestContext, reply: (name: string) => ModelReply, deployments = [deployment]) {
  const { clock, now, letters, parts, deliver } = await virtualJobs(t)
  const store = await openSqliteMissingDeployments(':memory:', now)
  t.after(() => store.close())
  const asked: string[] = []
  let owners = 0
  const provider = providerOf(async ({ deployment: { deployment: name } }) => {
    asked.push(name)
    return reply(name)
  })

  function start() {
    const missing = createMissingEpisodes({ store, now, log })
    const newOwner = () => `owner ${++owners}`
    const worker = { ...parts, circuits: circuitsOf(now, 1), missing, provider, deployments, newOwner }
    return async (id: string) => fateOf(await deliver(worker, { job: aJob({ id }) }))
  }
  return { start, clock, asked, letters }
}

describe('jobs for a deployment that is missing', () => {
  test('wait, and one of them asks it: a typo empties no queue', async (t) => {
    const { start, asked, letters } = await workersWhere(t, () => notFound)
    const push = start()
    const outcomes = new Set<string>()
    for (let n = 0; n < 100; n += 1) outcomes.add(await push(`doc-${n}`))
    assert.deepEqual([[...outcomes], asked.length, letters], [['no_deployment'], 1, []])
  })

  test('end once a probe finds it missing for ten minutes, all that come until the next probe, with how to fix it', async (t) => {
    const { start, asked, letters, clock } = await workersWhere(t, () => notFound)
    const push = start()
    await push('doc-0')
    for (clock.now += 5 * MINUTE_MS; clock.now < START + 10 * MINUTE_MS; clock.now += 5 * MINUTE_MS) {
      assert.equal(await push('doc-0'), 'no_deployment')
    }
    assert.deepEqual([asked.length, letters], [2, []])
    for (let n = 0; n < 100; n += 1) assert.equal(await push(`doc-${n}`), 'dead_lettered')
    assert.deepEqual([asked.length, letters.length], [3, 100])
    assert.partialDeepStrictEqual(letters[0], { reason: 'no_deployment', hint })
  })

  test('do not end by an instance that has not asked it itself, and end by its first request where the episode is old', async (t) => {
    const { start, asked, clock } = await workersWhere(t, () => notFound)
    await start()('doc-0')
    clock.now += 10 * MINUTE_MS
    assert.equal(await start()('doc-1'), 'dead_lettered')
    assert.equal(asked.length, 2)
  })

  test('do not end where any instance had an answer meanwhile', async (t) => {
    let isThere = false
    const { start, clock } = await workersWhere(t, () => (isThere ? answer : notFound))
    const push = start()
    await push('doc-0')
    clock.now += 5 * MINUTE_MS
    isThere = true
    assert.equal(await start()('doc-1'), 'succeeded')
    clock.now += 5 * MINUTE_MS
    isThere = false
    assert.equal(await push('doc-0'), 'no_deployment')
  })

  test('go to the next deployment of their model, and end only when that is missing for ten minutes as well', async (t) => {
    let isSecondThere = true
    const there = (name: string) => (name === 'e' && isSecondThere ? answer : notFound)
    const { start, asked, letters, clock } = await workersWhere(t, there, [deployment, second])
    const push = start()
    assert.equal(await push('doc-0'), 'succeeded')
    clock.now += 11 * MINUTE_MS
    assert.equal(await push('doc-1'), 'succeeded')
    assert.deepEqual([asked, letters], [['d', 'e', 'd', 'e'], []])
    isSecondThere = false
    const outcomes: string[] = []
    for (let passed = 0; passed < 20 && !outcomes.includes('dead_lettered'); passed += 1) {
      outcomes.push(await push('doc-2'))
      clock.now += MINUTE_MS
    }
    assert.equal(outcomes.at(-1), 'dead_lettered')
    assert.ok(outcomes.length > 10, outcomes.join())
  })
})
