import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, test } from 'node:test'
import { createSigningKey } from '../../local/signing-key.ts'
import { serveCerts } from '../support/certs-server.ts'
import { DAY_MS } from '../support/job-builders.ts'
import { DEAD_LETTER_PATH, longestAttributes } from '../support/served-worker.ts'
import { callsOf, placeFault, startCloud } from '../support/stand-ins.ts'
import { holdAnswers, postTo, startWorker, type TestWorker, watchClock, wrap } from '../support/worker.ts'

const url = '/v1/chat/completions'
const body = { messages: [{ role: 'user', content: 'Bridges carry people over water.' }] }
const job = { id: 'doc-7', url, body, batch: 'nightly' }
const done = { status: 204 }
const away = { status: 503, reason: 'store' }

const cloud = await startCloud()
after(() => cloud.close())

const iso = (ms: number) => new Date(ms).toISOString()
/** The attributes that Pub/Sub adds to a message that it forwards to the dead-letter topic. */
const givenUp = (publishedAt = Date.now()) => ({
  CloudPubSubDeadLetterSourceDeliveryCount: '100',
  CloudPubSubDeadLetterSourceSubscription: 'jobs-worker',
  CloudPubSubDeadLetterSourceSubscriptionProject: 'test',
  CloudPubSubDeadLetterSourceTopicPublishTime: iso(publishedAt),
})
const failureAttributes = {
  'pb-reason': 'rejected',
  'pb-error': 'refused',
  'pb-code': 'content_filter',
  'pb-hint': 'Change it.',
}

async function onlyLetter(worker: TestWorker) {
  const [letter, ...others] = await worker.recorded()
  assert.ok(letter)
  assert.deepEqual(others, [])
  return letter
}

describe('a message that a worker dead-lettered', () => {
  test('is recorded with its reason, its job and its data', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    assert.deepEqual(await worker.push(job, { attributes: { origin: 'test' } }), done)
    const [message] = await worker.deadLetters()
    assert.ok(message)
    assert.deepEqual(await worker.forward(message.data, message), done)

    const record = await worker.record('doc-7', 'nightly')
    assert.ok(record?.status === 'dead_lettered')
    const letter = await onlyLetter(worker)
    assert.partialDeepStrictEqual(letter, {
      ...{ id: `${record.key}:1`, key: record.key, jobId: 'doc-7', batch: 'nightly', run: 1, times: 1 },
      ...{ reason: 'rejected', message: record.error.message, attributes: message.attributes },
    })
    assert.deepEqual(JSON.parse(letter.raw.toString()), job)
    assert.deepEqual(await worker.rescued(), [])
    assert.match(worker.logText(), new RegExp(`"jobKey":"${record.key}".*"outcome":"dead_letter_recorded".*"rejected"`))
  })

  test('is recorded once, however often it comes', async () => {
    await using worker = await startWorker(cloud)
    for (let n = 0; n < 3; n += 1) assert.deepEqual(await worker.forward(job, { attributes: failureAttributes }), done)
    const { times, firstAt, lastAt } = await onlyLetter(worker)
    assert.equal(times, 3)
    assert.ok(firstAt <= lastAt)
  })

  test('is recorded with the run that its replay had', async () => {
    await using worker = await startWorker(cloud)
    for (const run of ['1', '2']) await worker.forward(job, { attributes: { ...failureAttributes, 'pb-run': run } })
    const runs = (await worker.recorded()).map(({ run }) => run)
    assert.deepEqual(runs.toSorted(), [1, 2])
  })

  for (const megabytes of [1, 9]) {
    test(`with ${megabytes} MB of data keeps every byte of it`, async () => {
      await using worker = await startWorker(cloud)
      const data = randomBytes(megabytes * 1_000_000)
      assert.deepEqual(await worker.push(data), done)
      const [message] = await worker.deadLetters()
      assert.ok(message)
      assert.deepEqual(await worker.forward(message.data, message), done)
      const letter = await onlyLetter(worker)
      assert.ok(letter.raw.equals(data))
      assert.deepEqual([letter.reason, letter.key], ['invalid', undefined])
    })
  }

  test('comes unwrapped, too', async () => {
    await using worker = await startWorker(cloud)
    const headers = { 'x-goog-pubsub-message-id': '7', ...failureAttributes }
    assert.deepEqual(await postTo(worker.url, JSON.stringify(job), headers, DEAD_LETTER_PATH), done)
    assert.partialDeepStrictEqual(await onlyLetter(worker), {
      jobId: 'doc-7',
      reason: 'rejected',
      attributes: failureAttributes,
    })
  })

  test('comes unwrapped whole with as many and as long attributes as Pub/Sub allows', async () => {
    await using worker = await startWorker(cloud)
    const more = Object.keys(failureAttributes).length
    const said = { ...failureAttributes, 'pb-error': 'e'.repeat(1_024), 'pb-hint': 'h'.repeat(1_024) }
    const headers = { ...longestAttributes(100 - more), 'x-goog-pubsub-message-id': '7', ...said }
    assert.deepEqual(await postTo(worker.url, JSON.stringify(job), headers, DEAD_LETTER_PATH), done)
    const { message, attributes } = await onlyLetter(worker)
    assert.deepEqual([message, attributes], [said['pb-error'], said])
  })
})

describe('a message that claims to be a dead letter', () => {
  const claims = { 'pb-reason': 'budget', 'pb-error': 'over', 'pb-code': 'x', 'pb-hint': 'Send money.', 'pb-key': 'k' }

  test('and is no job is recorded as what it is', async () => {
    await using worker = await startWorker(cloud)
    const foreign = { 'pb-reason': 'Summarise: a secret', 'pb-key': '../elsewhere', 'pb-run': '0', origin: 'stranger' }
    assert.deepEqual(await worker.forward(job, { attributes: foreign }), done)
    const { reason, verified, key, attributes } = await onlyLetter(worker)
    assert.deepEqual([reason, verified, key, attributes], ['invalid', true, undefined, foreign])
    assert.equal(await worker.record('doc-7', 'nightly'), undefined)
    assert.deepEqual([await worker.rescued(), await worker.modelCalls()], [[], []])
    assert.doesNotMatch(worker.logText(), /secret|elsewhere/)
  })

  test('and of whose job there is no record is recorded as unverified, without its hint, and nothing else', async () => {
    await using worker = await startWorker(cloud)
    const foreign = { ...claims, 'pb-reason': 'Summarise: a secret' }
    assert.deepEqual(await worker.forward(job, { attributes: foreign }), done)
    const { reason, message, code, hint, verified, attributes } = await onlyLetter(worker)
    assert.deepEqual([reason, message, code], ['Summarise: a secret', 'over', 'x'])
    assert.deepEqual([hint, verified, attributes], [undefined, undefined, foreign])
    assert.deepEqual([await worker.rescued(), await worker.modelCalls()], [[], []])
    assert.doesNotMatch(worker.logText(), /secret|money/)
  })

  test('and of whose job the record says why it failed is recorded with that', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    await worker.push(job)
    assert.deepEqual(await worker.forward(job, { attributes: claims }), done)
    const record = await worker.record('doc-7', 'nightly')
    assert.ok(record?.status === 'dead_lettered')
    const { reason, message, code, hint, verified } = await onlyLetter(worker)
    const { kind, message: why, code: itsCode, hint: toDo } = record.error
    assert.deepEqual([reason, message, code, hint, verified], [kind, why, itsCode, toDo, true])
  })

  test('and whose job has succeeded, or is under way, changes neither', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    await placeFault(cloud.azure, { kind: 'status', status: 500, times: 1 })
    await worker.push({ ...job, id: 'doc-8' })
    for (const id of ['doc-7', 'doc-8'])
      assert.deepEqual(await worker.forward({ ...job, id }, { attributes: claims }), done)
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
    assert.equal((await worker.record('doc-8', 'nightly'))?.status, 'waiting')
    const letters = await worker.recorded()
    assert.deepEqual(
      letters.map(({ verified, hint }) => [verified, hint]),
      [
        [undefined, undefined],
        [undefined, undefined],
      ],
    )
  })

  test('and was forwarded by Pub/Sub is a healthy job: it is published again, and succeeds', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.forward(job, { attributes: { ...claims, ...givenUp(), origin: 'test' } }), done)
    assert.deepEqual(await worker.recorded(), [])
    const [message] = await worker.rescued()
    assert.ok(message)
    assert.deepEqual(Object.keys(message.attributes).toSorted(), ['origin', 'pb-first-published'])
    assert.deepEqual(await worker.push(message.data, message), done)
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  })

  test('and was forwarded unwrapped is a healthy job, too', async () => {
    await using worker = await startWorker(cloud)
    const headers = { 'x-goog-pubsub-message-id': '7', ...claims, ...givenUp() }
    assert.deepEqual(await postTo(worker.url, JSON.stringify(job), headers, DEAD_LETTER_PATH), done)
    assert.deepEqual([await worker.recorded(), (await worker.rescued()).length], [[], 1])
  })

  test('and was forwarded is recorded with our own reason where it is too old', async () => {
    await using worker = await startWorker(cloud)
    const attributes = { ...claims, ...givenUp(Date.now() - 8 * DAY_MS) }
    assert.deepEqual(await worker.forward(job, { attributes }), done)
    const { reason, hint, verified } = await onlyLetter(worker)
    assert.deepEqual([reason, verified], ['max_age', true])
    assert.doesNotMatch(hint ?? '', /money/)
  })

  test('is one of ours where a worker dead-lettered it, although its sender wrote what Pub/Sub writes', async () => {
    await using worker = await startWorker(cloud)
    await worker.push('no job', { attributes: { ...claims, ...givenUp() } })
    const [message] = await worker.deadLetters()
    assert.ok(message)
    assert.deepEqual(Object.keys(message.attributes).toSorted(), ['pb-error', 'pb-reason'])
    await worker.forward(message.data, message)
    const { reason, verified } = await onlyLetter(worker)
    assert.deepEqual([reason, verified], ['invalid', true])
  })
})

describe('a job that Pub/Sub gave up on', () => {
  test('and that was never settled is published again, with its attributes and the time of its first publication', async () => {
    await using worker = await startWorker(cloud)
    const publishedAt = Date.now() - DAY_MS
    const own = { origin: 'test', 'pb-run': '1' }
    const came = { attributes: { ...own, ...givenUp(publishedAt) }, publishTime: iso(Date.now()) }
    assert.deepEqual(await worker.forward(job, came), done)
    const [message, ...others] = await worker.rescued()
    assert.ok(message)
    assert.deepEqual(others, [])
    assert.deepEqual(message.attributes, { ...own, 'pb-first-published': iso(publishedAt) })
    assert.deepEqual(JSON.parse(Buffer.from(message.data).toString()), job)
    assert.deepEqual(await worker.recorded(), [])
    assert.match(worker.logText(), /"jobId":"doc-7".*"outcome":"rescued"/)
  })

  test('is done by the next delivery', async () => {
    await using worker = await startWorker(cloud)
    await worker.forward(job, { attributes: givenUp() })
    const [message] = await worker.rescued()
    assert.ok(message)
    assert.deepEqual(await worker.push(message.data, message), done)
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  })

  test('is rescued again and again until it is too old, whatever age its last message claims', async () => {
    const { clock, now } = watchClock()
    await using worker = await startWorker(cloud, { dependencies: { now }, settings: { MAX_JOB_AGE_DAYS: '2' } })
    await worker.forward(job, { attributes: givenUp(now()) })
    for (const days of [1, 1.9]) {
      clock.aheadMs = days * DAY_MS
      const last = (await worker.rescued()).at(-1)
      assert.ok(last)
      const attributes = { ...last.attributes, ...givenUp(now()) }
      assert.deepEqual(await worker.forward(last.data, { attributes }), done)
    }
    assert.equal((await worker.rescued()).length, 3)

    clock.aheadMs = 2 * DAY_MS
    const last = (await worker.rescued()).at(-1)
    assert.ok(last)
    assert.deepEqual(await worker.forward(last.data, { attributes: { ...last.attributes, ...givenUp(now()) } }), done)
    assert.equal((await worker.rescued()).length, 3)
    assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'max_age' })
  })

  test('past its deadline is not rescued', async () => {
    await using worker = await startWorker(cloud)
    const late = { ...job, deadline: iso(Date.now() - 1_000) }
    assert.deepEqual(await worker.forward(late, { attributes: givenUp() }), done)
    assert.deepEqual(await worker.rescued(), [])
    assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'expired' })
  })

  for (const [status, over] of Object.entries({ dead_lettered: {}, expired: { deadline: iso(Date.now() + DAY_MS) } })) {
    test(`and whose record waits is settled with its letter, ${status}, and its replay runs`, async () => {
      const { clock, now } = watchClock()
      await using worker = await startWorker(cloud, { dependencies: { now } })
      const first = { ...job, ...over }
      await placeFault(cloud.azure, { kind: 'status', status: 500, times: 1 })
      assert.deepEqual(await worker.push(first), { status: 503, reason: 'unavailable' })
      assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'waiting')

      clock.aheadMs = 6.5 * DAY_MS
      const attributes = givenUp(Date.now() - DAY_MS)
      assert.deepEqual(await worker.forward(first, { attributes }), done)
      const record = await worker.record('doc-7', 'nightly')
      assert.ok(record?.status === status && 'error' in record)
      const letter = await onlyLetter(worker)
      assert.deepEqual([letter.reason, letter.message], [record.error.kind, record.error.message])

      const { deadline: _, ...again } = { deadline: undefined, ...first }
      assert.deepEqual(await worker.push(again, { attributes: { 'pb-run': '2' } }), done)
      assert.partialDeepStrictEqual(await worker.record('doc-7', 'nightly'), { status: 'succeeded', run: 2 })
    })
  }

  test('and that has succeeded is left alone', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), done)
    assert.deepEqual([await worker.rescued(), await worker.recorded()], [[], []])
    assert.equal((await worker.modelCalls()).length, 1)
    assert.match(worker.logText(), /"outcome":"already_settled"/)
  })

  test('and whose dead letter was lost is recorded with the reason of its record', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    const bringBack = worker.takeAway('messages')
    assert.deepEqual(await worker.push(job), away)
    bringBack()
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), done)
    assert.deepEqual(await worker.rescued(), [])
    assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'rejected' })
  })

  test('and that has the id of another is recorded as the conflict it is', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    const other = { ...job, metadata: { row: '8' } }
    assert.deepEqual(await worker.forward(other, { attributes: givenUp() }), done)
    const { reason, raw } = await onlyLetter(worker)
    assert.deepEqual([reason, JSON.parse(raw.toString())], ['conflict', other])
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'succeeded')
  })

  test('while an attempt of it is under way is rescued, and is paid for once', async () => {
    const { options, askedBy, letGo } = holdAnswers()
    await using slow = await startCloud({ azure: options })
    await using worker = await startWorker(slow)
    const pushed = worker.push(job)
    await askedBy(pushed)
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), done)
    const [message] = await worker.rescued()
    assert.ok(message)
    const again = worker.push(message.data, message)
    letGo()
    assert.deepEqual([await pushed, await again], [done, done])
    assert.equal((await worker.modelCalls()).length, 1)
  })
})

describe('poison in the dead-letter topic', () => {
  for (const [what, data] of [
    ['is no JSON', Buffer.from('Summarise: canary')],
    ['is no text', Buffer.of(0xff, 0xfe, 0x80)],
    ['is empty', Buffer.alloc(0)],
    ['is larger than any job', Buffer.alloc(9_000_000, 'x')],
  ] as const) {
    test(`that ${what} is recorded as it came, whichever subscription forwarded it`, async () => {
      await using worker = await startWorker(cloud)
      assert.deepEqual(await worker.forward(data, { attributes: givenUp() }), done)
      const letter = await onlyLetter(worker)
      assert.equal(letter.reason, 'invalid')
      assert.ok(letter.raw.equals(data))
      assert.deepEqual(await worker.rescued(), [])
    })
  }

  test('of which the envelope is broken is recorded whole', async () => {
    await using worker = await startWorker(cloud)
    const broken = ['{"message":7}', '{"message":{"data":"not base64!"}}']
    for (const text of broken) assert.deepEqual(await postTo(worker.url, text, {}, DEAD_LETTER_PATH), done)
    const texts = (await worker.recorded()).map(({ raw }) => raw.toString())
    assert.deepEqual(texts.toSorted(), ['not base64!', '{"message":7}'].toSorted())
  })

  test('that has attributes as no store takes them is recorded all the same', async () => {
    await using worker = await startWorker(cloud)
    const attributes = {
      '': 'nameless',
      __x__: 'reserved',
      'a/b': 'y'.repeat(2_000),
      'pb-run': '-1',
      ...failureAttributes,
    }
    assert.deepEqual(await worker.forward(job, { attributes }), done)
    assert.deepEqual((await onlyLetter(worker)).attributes, { ...attributes, 'a/b': 'y'.repeat(1_024) })
  })

  test('whose record cannot be read is published again: a newer version may have written it', async () => {
    await using worker = await startWorker(cloud)
    await worker.push(job)
    const db = new DatabaseSync(worker.file, { timeout: 5_000 })
    db.exec(`UPDATE promptJobs SET record = '{"status": "odd"}'`)
    db.close()
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), done)
    assert.deepEqual([(await worker.rescued()).length, await worker.recorded()], [1, []])
    assert.deepEqual(await worker.forward(job, { attributes: givenUp(Date.now() - 8 * DAY_MS) }), done)
    assert.equal((await onlyLetter(worker)).reason, 'max_age')
  })

  test('that the jobs topic refuses to take again is recorded', async () => {
    await using worker = await startWorker(cloud)
    assert.deepEqual(await worker.forward(job, { attributes: { '': 'nameless', ...givenUp() } }), done)
    assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'invalid' })
  })
})

describe('what is away defers jobs', () => {
  test('a dead letter, which is recorded when the store is back', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('deadLetters')
    assert.deepEqual(await worker.forward(job, { attributes: failureAttributes }), away)
    assert.deepEqual(await worker.forward('no job'), away)
    bringBack()
    assert.deepEqual(await worker.forward(job, { attributes: failureAttributes }), done)
    assert.equal((await onlyLetter(worker)).times, 1)
  })

  test('a rescue, until its record can be read', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('promptJobs')
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), away)
    bringBack()
    assert.deepEqual([await worker.rescued(), await worker.recorded()], [[], []])
  })

  test('a rescue, until the jobs topic takes it', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('messages')
    assert.deepEqual(await worker.forward(job, { attributes: givenUp() }), away)
    assert.match(worker.logText(), /"reason":"store".*"problem":"the jobs topic or the events topic is unavailable"/)
    bringBack()
    assert.deepEqual(await worker.recorded(), [])
  })
})

describe('a message that the dead-letter topic refuses for good', () => {
  test('is recorded by the worker itself, and done with', async () => {
    await using worker = await startWorker(cloud)
    const attributes = { tag: 'y'.repeat(2_000) }
    assert.deepEqual(await worker.push('no job', { attributes }), done)
    const letter = await onlyLetter(worker)
    assert.deepEqual([letter.reason, letter.verified, letter.raw.toString()], ['invalid', true, 'no job'])
    assert.deepEqual(await worker.deadLetters(), [])
    assert.match(worker.logText(), /the dead-letter topic refuses a message: it is recorded/)
  })

  test('because it is more than ten million bytes is recorded whole', async () => {
    await using worker = await startWorker(cloud)
    const broken = `{"message":7,"x":"${'x'.repeat(12_000_000)}"}`
    assert.deepEqual(await worker.post(broken), done)
    assert.equal((await onlyLetter(worker)).raw.toString(), broken)
  })

  test('because of what its job carries is recorded after the settle, with the reason of the record', async () => {
    await using worker = await startWorker(cloud)
    await placeFault(cloud.azure, { kind: 'status', status: 400 })
    const attributes = { tag: 'y'.repeat(2_000) }
    for (let n = 0; n < 2; n += 1) assert.deepEqual(await worker.push(job, { attributes }), done)
    assert.equal((await worker.record('doc-7', 'nightly'))?.status, 'dead_lettered')
    assert.partialDeepStrictEqual(await onlyLetter(worker), { jobId: 'doc-7', reason: 'rejected', times: 2 })
    assert.equal((await worker.modelCalls()).length, 1)
  })

  test('is deferred while the store is away', async () => {
    await using worker = await startWorker(cloud)
    const bringBack = worker.takeAway('deadLetters')
    assert.deepEqual(await worker.push('no job', { attributes: { tag: 'y'.repeat(2_000) } }), away)
    bringBack()
  })
})

test('a push to /dead-letter needs the same token as any other, and nothing is kept of one that has none', async () => {
  const key = await createSigningKey()
  const certs = await serveCerts(key.jwks)
  after(() => certs.close())
  const identity = {
    PUSH_AUDIENCE: 'https://worker.example/push',
    PUSH_SERVICE_ACCOUNT: 'push@contoso.iam.gserviceaccount.com',
    PUSH_CERTS_URL: certs.url,
  }
  await using worker = await startWorker(cloud, { settings: { ...identity, PUSH_AUTH: 'verify' } })
  const bearer = async (aud: string, email: string) => {
    const iat = Math.floor(Date.now() / 1_000)
    const claims = { iss: 'https://accounts.google.com', aud, email, email_verified: true, iat, exp: iat + 3_600 }
    return { authorization: `Bearer ${await key.sign(claims)}` }
  }
  const { PUSH_AUDIENCE: audience, PUSH_SERVICE_ACCOUNT: account } = identity
  const good = await bearer(audience, account)
  const pushed = (headers: Readonly<Record<string, string>>) =>
    postTo(worker.url, JSON.stringify(wrap(job, { attributes: failureAttributes })), headers, DEAD_LETTER_PATH)
  assert.deepEqual(await pushed({}), { status: 401 })
  assert.deepEqual(await pushed({ authorization: `${good.authorization}x` }), { status: 401 })
  assert.deepEqual(await pushed(await bearer('https://another.example', account)), { status: 401 })
  assert.deepEqual(await pushed(await bearer(audience, 'stranger@example.com')), { status: 403 })
  assert.deepEqual(await worker.recorded(), [])
  assert.deepEqual(await pushed(good), done)
  assert.equal((await worker.recorded()).length, 1)
})

test('a dead letter costs neither a token nor a model call', async () => {
  await using worker = await startWorker(cloud)
  const tokenCalls = async () => (await callsOf(cloud.metadata)).length + (await callsOf(cloud.entra)).length
  const before = await tokenCalls()
  await worker.forward(job, { attributes: failureAttributes })
  await worker.forward(job, { attributes: givenUp() })
  assert.equal(await tokenCalls(), before)
  assert.deepEqual(await worker.modelCalls(), [])
})
