import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { jobText, notesOn, readEdited, withNotes, withoutNotes } from '../../cli/dead-letters/edit-text.ts'
import { jobKey } from '../../shared/job/job.ts'
import type { DeadLetter } from '../../shared/stores/dead-letter-store.ts'
import { aDeadLetterOf, aNewDeadLetter } from '../support/dead-letter-builders.ts'
import { START, sha256 } from '../support/job-builders.ts'

const key = jobKey('nightly', 'doc-7', sha256)
const aLetter = (over: Partial<DeadLetter> = {}) => ({ ...aDeadLetterOf(aNewDeadLetter({ key })), ...over })
const data = (text: string) => Buffer.from(text)

describe('the text of a job in an editor', () => {
  test('is its JSON with an indent, and keeps every digit', () => {
    const text = jobText(
      aLetter(),
      data('{"id":"doc-7","prompt":"x","metadata":{"n":"1"},"seed":9223372036854775807.10}'),
    )
    assert.match(text ?? '', /^\{\n {2}"id": "doc-7",\n/)
    assert.match(text ?? '', /"seed": 9223372036854775807\.10\n\}$/)
  })

  test('has the id of a job that its data names, because the data will change', () => {
    assert.equal(JSON.parse(jobText(aLetter(), data('{"prompt":"x"}')) ?? '').id, 'doc-7')
    assert.deepEqual(JSON.parse(jobText(aLetter(), data('{"custom_id":"a","url":"/v1/responses","body":{}}')) ?? ''), {
      custom_id: 'a',
      url: '/v1/responses',
      body: {},
    })
  })

  test('is the data as they came if they are no JSON, and none if they are no text', () => {
    assert.equal(jobText(aLetter(), data('{"id": "doc')), '{"id": "doc')
    assert.equal(jobText(aLetter(), Buffer.from([0xff, 0xfe])), undefined)
  })

  test('has notes above it, which are not read back and cannot steer the terminal', () => {
    const noted = withNotes('{"a": 1}', notesOn(aLetter({ message: 'no\n{"b": 2}\u001b[2J' }), 'it is not a job'))
    assert.match(noted, /^# This cannot be replayed: it is not a job\n# rejected \(content_filter\): no \{"b": 2\}/)
    assert.ok(!noted.includes('\u001b'))
    assert.equal(withoutNotes(noted), '{"a": 1}')
    for (const text of ['', '\n\n', '# a\n', '# a']) assert.equal(withoutNotes(text), '')
    assert.equal(withoutNotes('{"prompt": "\n# kept"}\n'), '{"prompt": "\n# kept"}')
  })

  test('has a hint only if a worker wrote it', () => {
    assert.ok(notesOn(aLetter()).includes('To do: Change the prompt.'))
    assert.ok(!notesOn(aLetter({ verified: undefined })).some((note) => note.includes('Change')))
  })
})

describe('an edited job', () => {
  const read = (text: string, over: Partial<DeadLetter> = {}) => readEdited(aLetter(over), text, START)
  const problemOf = (...given: Parameters<typeof read>) => {
    const edited = read(...given)
    return edited.ok ? undefined : edited.problem
  }

  test('is the next run of the same job, byte by byte, without the attributes of its failure', () => {
    const text = '{"id": "doc-7",  "prompt": "shorter"}'
    const attributes = { batch: 'nightly', 'pb-run': '2', 'pb-reason': 'rejected' }
    const edited = read(text, { attributes })
    assert.ok(edited.ok)
    assert.deepEqual(edited.message, {
      data: new TextEncoder().encode(text),
      attributes: { batch: 'nightly', 'pb-run': '3' },
    })
    assert.deepEqual([edited.id, edited.run], ['doc-7', 3])
  })

  test('that is no job, has passed its deadline, or is another job, is refused', () => {
    const cases = [
      ['not JSON', /is not JSON/],
      ['{"id": "doc-8", "prompt": "x"}', /^its id and its batch must stay as they are$/],
      ['{"id": "doc-7", "batch": "other", "prompt": "x"}', /batch/],
      ['{"id": "doc-7", "prompt": "x", "deadline": "2026-11-24T05:59:59Z"}', /^its deadline has passed$/],
    ] as const
    for (const [text, problem] of cases) assert.match(problemOf(text) ?? '', problem, text)
  })

  test('of a message that was no job is the first run of its own job', () => {
    const edited = read('{"id": "new", "prompt": "x"}', { key: undefined, jobId: undefined, reason: 'invalid' })
    assert.ok(edited.ok)
    assert.deepEqual([edited.id, edited.run, edited.message.attributes['pb-run']], ['new', 1, undefined])
  })

  test('whose id belongs to another job needs another id', () => {
    const conflict = { reason: 'conflict' }
    assert.match(problemOf('{"id": "doc-7", "prompt": "x"}', conflict) ?? '', /^another job has this id/)
    assert.equal(problemOf('{"id": "doc-8", "prompt": "x"}', conflict), undefined)
  })
})
