import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { type AccessTokenSource, createAccessTokenSource } from '../../shared/identity/access-token-source.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { diagnose } from '../../shared/models/azure-openai/explain-refused-token.ts'
import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { createLog } from '../../worker/observe/log.ts'
import { createFailureTelemetry } from '../../worker/observe/token-telemetry.ts'
import { DAY_MS } from '../support/job-builders.ts'
import { callsOf, clearFaults, placeFault, startCloud } from '../support/stand-ins.ts'
import { federationOn, openFetcher } from '../support/token-instance.ts'

const SECOND = 1_000
const HOUR = 3_600 * SECOND
const JOBS = 10_000
/** Each job comes again after 200 s, so that each second another fiftieth of them asks. */
const JOBS_A_SECOND = 50

const cloud = await startCloud()
after(() => cloud.close())

const federation = federationOn(cloud)

/** An instance whose waits after a failure are as long as they get. Its clock begins so far before the real one. */
function anInstance(beforeMs: number) {
  const clock = { now: Date.now() - beforeMs }
  const now = () => clock.now
  const fetchToken = openFetcher(cloud, {}, now)
  const triedAt: number[] = []
  const documents = new Map<string, TokenFailure>()
  let ids = 0
  const observer = createFailureTelemetry({
    store: { putTokenFailure: async (failure) => void documents.set(failure.id, failure) },
    instance: { id: 'i-1' },
    ttlMs: DAY_MS,
    now,
    newId: () => `episode-${++ids}`,
    log: createLog('silent'),
  })
  const { get } = createAccessTokenSource({
    fetchToken: () => {
      triedAt.push(clock.now)
      return fetchToken()
    },
    diagnose: (error) => diagnose(error, federation),
    now,
    random: () => 1,
    observer,
  })
  return { get, clock, triedAt, documents }
}

/** A job that its delivery does not hold: it has a token now, or it comes again later. */
async function ask(get: AccessTokenSource['get'], now: number): Promise<'served' | 'deferred'> {
  try {
    await get(new AbortController().signal, { until: now })
    return 'served'
  } catch (error) {
    assert.ok(error instanceof TokenError, String(error))
    return 'deferred'
  }
}

const crowd = (get: AccessTokenSource['get'], now: number, jobs: number) =>
  Promise.all(Array.from({ length: jobs }, () => ask(get, now)))

/** An hour in which Entra knows no such subject and the jobs are retried all the time; it is fixed before the next try after that. */
async function spendAnHour() {
  await placeFault(cloud.entra, { kind: 'status', error: 'wrong_subject', match: '/oauth2/v2.0/token' })
  const { get, clock, triedAt, documents } = anInstance(HOUR)
  const answers: string[] = []
  for (let second = 0; second < HOUR / SECOND; second += 1) {
    answers.push(...(await crowd(get, clock.now, JOBS_A_SECOND)))
    clock.now += SECOND
  }
  const during = { answers, triedAt: [...triedAt], posts: await posts(), failures: [...documents.values()] }
  await clearFaults(cloud.entra)
  clock.now = during.failures.at(-1)?.nextTryAt ?? clock.now
  const answersAfter = await crowd(get, clock.now, JOBS)
  return { during, after: { answers: answersAfter, posts: await posts(), failures: [...documents.values()] } }
}

const posts = async () => (await callsOf(cloud.entra, 'token')).length
const times = <T>(count: number, value: T): readonly T[] => Array.from({ length: count }, () => value)

describe('an hour with a subject that Entra does not know, and ten thousand jobs that are redelivered', async () => {
  const { during, after: fixed } = await spendAnHour()

  test('asks Entra once each backoff period: every 10 s while it may be spreading, then every 5 min', () => {
    const waits = during.triedAt.slice(1).map((at, n) => (at - (during.triedAt[n] ?? 0)) / SECOND)
    const whileSpreading = [1, 2, 4, 8, ...times(59, 10)]
    const later = [60, 120, 240, ...times(8, 300)]
    assert.deepEqual(waits, [...whileSpreading, ...later])
    assert.equal(during.posts, during.triedAt.length)
  })

  test('defers every job and gives up none', () => {
    assert.deepEqual(during.answers, times((JOBS_A_SECOND * HOUR) / SECOND, 'deferred'))
  })

  test('writes one document for each kind, which counts the tries and the jobs', () => {
    assert.deepEqual(
      fixed.failures.map(({ kind, tries, aadsts }) => ({ kind, tries, aadsts })),
      [
        { kind: 'passing', tries: 63, aadsts: [700213] },
        { kind: 'configuration', tries: 12, aadsts: [700213] },
      ],
    )
    const held = fixed.failures.reduce((sum, { jobsHeld }) => sum + jobsHeld, 0)
    assert.equal(held, during.answers.length)
  })

  test('ends with one more POST, a token for all of them, and the time of the recovery in both documents', () => {
    assert.equal(fixed.posts, during.posts + 1)
    assert.deepEqual(fixed.answers, times(JOBS, 'served'))
    const resolved = fixed.failures.map(({ resolvedAt }) => resolvedAt !== undefined)
    assert.deepEqual(resolved, [true, true])
    const before = during.failures.map(({ resolvedAt }) => resolvedAt)
    assert.deepEqual(before, [undefined, undefined])
  })
})
