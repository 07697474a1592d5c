import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findObstacle, findStateObstacle, type ReplayRules } from '../../cli/dead-letters/obstacles.ts'
import { makeReplay, type ReplayChanges } from '../../cli/dead-letters/replay-message.ts'
import { endReasons } from '../../shared/job/failures.ts'
import type { JobRecord } from '../../shared/job/record.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { aDeadLetterOf, aNewDeadLetter } from '../support/dead-letter-builders.ts'
import {
  aDeadLetteredRecord,
  aRunningRecord,
  aSucceededRecord,
  aWaitingRecord,
  START,
} from '../support/job-builders.ts'

const CHAT = { id: 'doc-7', url: '/v1/chat/completions', body: { model: 'gpt-4o', messages: [] } }
const toData = (value: object) => Buffer.from(JSON.stringify(value))
const NOT_UTF8 = Buffer.from('{"id":"doc-7","prompt":"caf\xe9"}', 'latin1')
const DEEP = Buffer.from(`{"url":"/v1/responses","body":{"input":${'['.repeat(100_000)}1.0${']'.repeat(100_000)}}}`)
const aLetter = (over: Partial<DeadLetter> = {}) => ({ ...aDeadLetterOf(aNewDeadLetter()), ...over })

interface Given {
  readonly letter?: Partial<DeadLetter>
  readonly data?: Uint8Array
  readonly changes?: ReplayChanges
}

const replay = ({ letter, data = toData(CHAT), changes = {} }: Given = {}) =>
  makeReplay(aLetter(letter), data, changes, START)

/** The message that is published. */
function messageOf(given: Given = {}) {
  const made = replay(given)
  assert.ok(made.kind === 'publish', JSON.stringify(made))
  return { ...made.message, job: JSON.parse(Buffer.from(made.message.data).toString()) }
}

const whyNot = (given: Given) => {
  const made = replay(given)
  assert.ok(made.kind === 'skip')
  return made.why
}

describe('a replay', () => {
  test('is the same data, byte by byte, under the next run', () => {
    const data = Buffer.from('{"id":"doc-7",  "prompt":"x", "batch":"nightly"}')
    const { message } = { message: messageOf({ data }) }
    assert.deepEqual(message.data, data)
    assert.equal(message.attributes['pb-run'], '3')
  })

  test('carries the attributes of the job, and none of its failure', () => {
    const attributes = {
      batch: 'nightly',
      traceparent: 't',
      'pb-run': '2',
      'pb-reason': 'rejected',
      'pb-error': 'e',
      'pb-code': 'c',
      'pb-hint': 'h',
      'pb-key': 'k',
      // A replay is young again.
      'pb-first-published': '2026-11-01T00:00:00Z',
      CloudPubSubDeadLetterSourceDeliveryCount: '100',
    }
    const message = messageOf({ letter: { attributes } })
    assert.deepEqual(message.attributes, { batch: 'nightly', traceparent: 't', 'pb-run': '3' })
  })

  test('may ask another model, and for fewer tokens by every field that the job uses', () => {
    const limited = (body: object, url = CHAT.url) =>
      messageOf({ data: toData({ ...CHAT, url, body }), changes: { model: 'gpt-5', maxOutputTokens: 9 } }).job.body
    assert.deepEqual(limited({ messages: [] }), { messages: [], model: 'gpt-5', max_completion_tokens: 9 })
    assert.deepEqual(limited({ messages: [], max_tokens: 5 }), { messages: [], model: 'gpt-5', max_tokens: 9 })
    const both = { messages: [], max_completion_tokens: 5, max_tokens: 5 }
    assert.deepEqual(limited(both), { ...both, model: 'gpt-5', max_completion_tokens: 9, max_tokens: 9 })
    assert.deepEqual(limited({ input: 'x' }, '/v1/responses'), { input: 'x', model: 'gpt-5', max_output_tokens: 9 })
  })

  test('with changes keeps every digit of the rest', () => {
    const rest = '"seed":6150769120280496265,"tools":[{"maximum":9223372036854775807,"multipleOf":0.1000}]'
    const data = Buffer.from(`{"id":"doc-7","url":"/v1/chat/completions","body":{${rest},"max_tokens":99999}}`)
    const replayed = Buffer.from(messageOf({ data, changes: { model: 'gpt-5', maxOutputTokens: 9 } }).data).toString()
    assert.ok(replayed.includes(`"body":{${rest},"max_tokens":9,"model":"gpt-5"}`), replayed)
  })

  test('of a job that its data names keeps its name when the data changes', () => {
    const data = toData({ prompt: 'Summarise: …' })
    assert.deepEqual(messageOf({ data, changes: { model: 'gpt-5' } }).job, {
      id: 'doc-7',
      prompt: 'Summarise: …',
      model: 'gpt-5',
    })
  })

  test('of a Batch line keeps its custom_id', () => {
    const { id, ...rest } = CHAT
    const data = toData({ ...rest, custom_id: id })
    const { job } = messageOf({ data, changes: { model: 'gpt-5' } })
    assert.deepEqual([job.custom_id, job.id, job.body.model], ['doc-7', undefined, 'gpt-5'])
  })
})

describe('left alone is', () => {
  const cases: readonly (readonly [string, Given, RegExp])[] = [
    [
      'what has passed its deadline',
      { data: toData({ ...CHAT, deadline: new Date(START - 1).toISOString() }) },
      /^its deadline has passed; edit it$/,
    ],
    ['what is no job', { data: Buffer.from('not JSON') }, /^it is not a job: the data is not JSON$/],
    ['what is no job, and was to be changed', { data: Buffer.from('1'), changes: { model: 'm' } }, /^it is not a job/],
    ['what is not UTF-8, and was to be changed', { data: NOT_UTF8, changes: { model: 'm' } }, /is not UTF-8 text$/],
    ['what is nested too deeply, and was to be changed', { data: DEEP, changes: { model: 'm' } }, /levels deep$/],
    [
      'what the changes make no job',
      { changes: { model: 'm'.repeat(129) } },
      /^with these changes it is not a job: body.model: /,
    ],
    [
      'a bare prompt whose limit was to be changed',
      { data: toData({ prompt: 'x' }), changes: { maxOutputTokens: 9 } },
      /^a bare prompt has no token limit/,
    ],
  ]
  for (const [what, given, why] of cases) {
    test(what, () => {
      assert.match(whyNot(given), why)
    })
  }
})

describe('an obstacle to a replay', () => {
  const obstacle = (over: Partial<DeadLetter>, rules: ReplayRules = {}) =>
    findObstacle(aLetter({ reason: 'max_attempts', code: undefined, ...over }), rules)

  test('is a reason for which the job fails again as it is, unless it is changed or forced', () => {
    const certain = [
      ['rejected', 'context_length_exceeded'],
      ['rejected', 'content_filter'],
      ['rejected', undefined],
      ['invalid', undefined],
      ['oversized', undefined],
      ['store', undefined],
    ] as const
    for (const [reason, code] of certain) {
      assert.match(
        obstacle({ reason, code }) ?? '',
        /^it would fail again as it is; change it with `dead-letters edit`/,
      )
      for (const rules of [{ force: true }, { isChanged: true }])
        assert.equal(obstacle({ reason, code }, rules), undefined)
    }
    const others = endReasons.filter(
      (reason) => !['rejected', 'invalid', 'oversized', 'store', 'conflict'].includes(reason),
    )
    for (const reason of others) assert.equal(obstacle({ reason }), undefined, reason)
    assert.equal(obstacle({ reason: 'rejected', code: 'previous_response_not_found' }), undefined)
  })

  test('is an earlier replay, unless it is included', () => {
    assert.match(obstacle({ replays: { n: 1 } }, { force: true }) ?? '', /--include-replayed$/)
    assert.equal(obstacle({ replays: { n: 1 } }, { includeReplayed: true }), undefined)
  })

  test('is the fifth run, unless forced; and always an id that belongs to another job', () => {
    assert.match(obstacle({ run: 5 }, { isChanged: true }) ?? '', /^it has failed in 5 runs/)
    assert.equal(obstacle({ run: 5 }, { force: true }), undefined)
    assert.match(obstacle({ reason: 'conflict' }, { force: true }) ?? '', /^another job has the same id/)
  })

  test('is a job that succeeded, runs, waits, or has a later run', () => {
    const state = (run: number, record?: JobRecord) => findStateObstacle(aLetter({ run }), record)
    assert.equal(state(1, aSucceededRecord), 'it has succeeded since then')
    assert.equal(state(1, aRunningRecord()), 'it is not settled yet')
    assert.equal(state(1, aWaitingRecord()), 'it is not settled yet')
    assert.equal(state(0, aDeadLetteredRecord()), 'a later run has begun')
    for (const record of [undefined, aDeadLetteredRecord()]) assert.equal(state(1, record), undefined)
  })
})
