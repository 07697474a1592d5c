import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OutageKind } from '../../shared/identity/renewal.ts'
import { TokenError } from '../../shared/identity/token-error.ts'
import { StoreError } from '../../shared/stores/job-store.ts'
import type { TokenFailure } from '../../shared/stores/telemetry-store.ts'
import { createLog } from '../../worker/observe/log.ts'
import { createFailureTelemetry } from '../../worker/observe/token-telemetry.ts'
import { DAY_MS, START } from '../support/job-builders.ts'

const instance = { service: 'worker', revision: 'worker-00007', id: 'i-1' }
const presented = { issuer: 'https://accounts.google.com', subject: '1045', audience: 'api://AzureADTokenExchange' }
const wrongSubject = new TokenError('entra_exchange', 'Entra answered 401 invalid_client AADSTS700213', {
  httpStatus: 401,
  code: 'invalid_client',
  aadsts: [700213],
  correlationId: 'c-1',
  presented,
  hint: 'Set Subject to 1045',
})
const denial = {
  kind: 'forbidden',
  message: 'denied',
  httpStatus: 403,
  code: 'PermissionDenied',
  hint: 'give the role',
} as const

/** A store that keeps the last of each document, and can be away. */
function aTelemetry() {
  const clock = { now: START }
  const documents = new Map<string, TokenFailure>()
  const store = { writes: 0, fault: undefined as StoreError | undefined }
  const lines: string[] = []
  let ids = 0
  const telemetry = createFailureTelemetry({
    store: {
      async putTokenFailure(failure) {
        store.writes += 1
        if (store.fault !== undefined) throw store.fault
        documents.set(failure.id, failure)
      },
    },
    instance,
    ttlMs: DAY_MS,
    now: () => clock.now,
    newId: () => `episode-${++ids}`,
    log: createLog('info', { write: (line) => lines.push(line) }),
  })
  const fail = (kind: OutageKind = 'passing', error = wrongSubject) =>
    telemetry.failed({
      error,
      outage: { kind, firstAt: START, nextTryAt: clock.now + 1_000, failures: 1 },
      tokenValidForMs: 600_000,
    })
  const all = () => [...documents.values()]
  /** Each document in a line. */
  const episodes = () =>
    all().map(({ id, kind, tries, resolvedAt }) => {
      const end = resolvedAt === undefined ? '' : `, resolved after ${resolvedAt - START} ms`
      return `${id}: ${kind}, ${tries} tries${end}`
    })
  return { ...telemetry, clock, fail, all, episodes, store, logged: () => lines.join('') }
}

describe('an episode of token failures', () => {
  test('is one document that says when, where, what was seen and shown, and how to fix it', async () => {
    const { fail, all } = aTelemetry()
    await fail()
    assert.deepEqual(all(), [
      {
        id: 'episode-1',
        instance,
        leg: 'entra_exchange',
        kind: 'passing',
        message: 'Entra answered 401 invalid_client AADSTS700213',
        hint: 'Set Subject to 1045',
        httpStatus: 401,
        code: 'invalid_client',
        aadsts: [700213],
        correlationId: 'c-1',
        presented,
        firstAt: START,
        lastAt: START,
        nextTryAt: START + 1_000,
        tries: 1,
        jobsHeld: 0,
        tokenValidForMs: 600_000,
        expireAt: START + DAY_MS,
      },
    ])
  })

  test('is written again at each try, with the jobs that were held meanwhile', async () => {
    const { fail, held, all, clock } = aTelemetry()
    await fail()
    for (let jobs = 0; jobs < 3; jobs += 1) held()
    clock.now += 1_000
    await fail()
    const [failure, ...others] = all()
    const seen = [failure?.tries, failure?.jobsHeld, failure?.firstAt, failure?.lastAt]
    assert.deepEqual(seen, [2, 3, START, START + 1_000])
    assert.deepEqual(others, [])
  })

  test('is resolved when the token recovers, with the jobs that were held last; the next one is another document', async () => {
    const { fail, held, recovered, all, episodes, clock } = aTelemetry()
    await fail()
    held()
    clock.now += 5_000
    await recovered()
    const [failure] = all()
    assert.deepEqual([failure?.resolvedAt, failure?.lastAt, failure?.jobsHeld], [START + 5_000, START + 5_000, 1])
    assert.equal(failure?.expireAt, START + 5_000 + DAY_MS)
    await fail()
    assert.deepEqual(episodes(), ['episode-1: passing, 1 tries, resolved after 5000 ms', 'episode-2: passing, 1 tries'])
  })

  test('in which the kind of trouble changes has a document for each, and both are resolved', async () => {
    const { fail, recovered, episodes } = aTelemetry()
    await fail('passing')
    await fail('configuration')
    await fail('passing')
    await recovered()
    const resolved = 'resolved after 0 ms'
    assert.deepEqual(episodes(), [
      `episode-1: passing, 2 tries, ${resolved}`,
      `episode-2: configuration, 1 tries, ${resolved}`,
    ])
  })

  test('that never began is not resolved', async () => {
    const { recovered, store } = aTelemetry()
    await recovered()
    assert.equal(store.writes, 0)
  })

  test('of a deployment that denies its caller is one of its own', async () => {
    const { fail, denied, accessRestored, recovered, all } = aTelemetry()
    await fail()
    await denied('gpt-4o at contoso.openai.azure.com', denial, START + 60_000, 1)
    await recovered()
    const name = 'gpt-4o at contoso.openai.azure.com'
    const [ofToken, ofDeployment, ...others] = all()
    assert.partialDeepStrictEqual(ofToken, { leg: 'entra_exchange', resolvedAt: START })
    assert.partialDeepStrictEqual(ofDeployment, { leg: 'azure_refused', deployment: name })
    assert.deepEqual([ofToken?.deployment, ofDeployment?.resolvedAt, others], [undefined, undefined, []])
    await accessRestored(name)
    assert.equal(all()[1]?.resolvedAt, START)
  })

  test('is in the log as well, at each try and at the recovery', async () => {
    const { fail, recovered, logged } = aTelemetry()
    await fail()
    await recovered()
    assert.match(logged(), /"severity":"WARNING".*"outcome":"token_failure".*Set Subject to 1045/)
    assert.match(logged(), /"severity":"INFO".*"outcome":"token_recovered"/)
  })
})

describe('while the store is away', () => {
  const away = new StoreError('unavailable', 'Firestore did not take a write')

  test('nothing rejects, the log has the error, and the last state of each episode is written when it is back', async () => {
    const { fail, recovered, flush, episodes, store, logged } = aTelemetry()
    store.fault = away
    await fail()
    await fail()
    await recovered()
    await fail('configuration')
    assert.match(logged(), /telemetry of token failures cannot be written now/)
    store.fault = undefined
    await flush()
    const [first, second] = ['episode-1: passing, 2 tries, resolved after 0 ms', 'episode-2: configuration, 1 tries']
    assert.deepEqual(episodes(), [first, second])
  })

  test('the latest hundred documents are kept', async () => {
    const { fail, recovered, flush, all, store } = aTelemetry()
    store.fault = away
    for (let episodes = 0; episodes < 150; episodes += 1) {
      await fail()
      await recovered()
    }
    store.fault = undefined
    await flush()
    assert.deepEqual([all().length, all()[0]?.id, all().at(-1)?.id], [100, 'episode-51', 'episode-150'])
  })

  test('a flush stops at the first write that fails, and writes at most one at a time', async () => {
    const { fail, flush, store } = aTelemetry()
    store.fault = away
    await fail()
    await fail('configuration')
    store.writes = 0
    await Promise.all([flush(), flush(), flush()])
    assert.equal(store.writes, 1)
  })
})

test('a document that the store refuses for good is given up, and does not hold up the others', async () => {
  const { fail, store, all } = aTelemetry()
  store.fault = new StoreError('refused', 'too large')
  await fail()
  store.fault = undefined
  await fail('configuration')
  const kinds = all().map(({ kind }) => kind)
  assert.deepEqual(kinds, ['configuration'])
})
