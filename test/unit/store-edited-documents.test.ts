import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { storedBatch } from '../../shared/stores/batch-store.ts'
import { readStoredLetter, toStoredLetter } from '../../shared/stores/letter-documents.ts'
import { tokenFailureKind, workerInstanceKind } from '../../shared/stores/telemetry-documents.ts'
import { aDeadLetterOf } from '../support/dead-letter-builders.ts'
import { DAY_MS, START } from '../support/job-builders.ts'
import { aTokenFailure, aWorkerInstance } from '../support/telemetry-builders.ts'

/** What a newer version, or a person at the console, may have put into a field. */
const ODD = { null: null, text: 'odd', number: -1.5, 'a map': { odd: true }, 'a list': [null] }

/** The names of the fields without which a document is not read, whatever is wrong with them. */
function neededIn(document: object, read: (document: object) => unknown): readonly string[] {
  const whole: Record<string, unknown> = { ...document }
  return Object.keys(whole).filter((field) => {
    const { [field]: _, ...without } = whole
    const spoilt = [without, ...Object.values(ODD).map((odd) => ({ ...without, [field]: odd }))]
    return spoilt.some((each) => read(each) === undefined)
  })
}

describe('a dead letter that was edited', () => {
  const letter = aDeadLetterOf()
  const read = (document: unknown) => readStoredLetter(letter.id, document)

  test('is read whatever is wrong with any of its fields but the one that names its data', () => {
    assert.deepEqual(neededIn(toStoredLetter(letter), read), ['data'])
  })

  test('keeps all its other fields', () => {
    const { expireAt: _, ...document } = toStoredLetter(letter)
    assert.deepEqual(read({ ...document, times: 'often', hint: 7, reason: 'reason_of_tomorrow' }), {
      ...Object.fromEntries(Object.entries(letter).filter(([name]) => name !== 'hint')),
      ...{ times: 1, reason: 'reason_of_tomorrow', expireAt: 253_402_300_799_000 },
    })
  })
})

describe('telemetry that was edited', () => {
  test('is read whatever is wrong with any field but those that say which episode, when, and of what', () => {
    assert.deepEqual(neededIn(aTokenFailure(), tokenFailureKind.read).toSorted(), ['id', 'lastAt', 'leg', 'message'])
    assert.deepEqual(neededIn(aWorkerInstance(), workerInstanceKind.read).toSorted(), ['at', 'instance'])
  })

  test('keeps a kind that only a newer version knows', () => {
    const newer = { ...aTokenFailure(), leg: 'leg_of_tomorrow', kind: 'kind_of_tomorrow', of: 'tomorrow' }
    assert.partialDeepStrictEqual(tokenFailureKind.read(newer), { leg: 'leg_of_tomorrow', kind: 'kind_of_tomorrow' })
    assert.equal(workerInstanceKind.read({ ...aWorkerInstance(), token: 'resting' })?.token, 'resting')
  })
})

describe('a batch that was edited', () => {
  const whole = {
    ...{ name: 'nightly', createdAt: START, total: 3, cancelledAt: START + 1, tokenLimit: 5 },
    ...{ counts: { succeeded: 1 }, tokens: { promptTokens: 1, completionTokens: 1 }, sweptAt: START + 2 },
    ...{ sealedAt: START, activeAt: START, deferredAt: START, incomplete: { at: START, total: 4 } },
  }

  test('is read whatever is wrong with any of its fields but its name', () => {
    const needed = neededIn(whole, (document) => storedBatch.safeParse(document).data)
    assert.deepEqual(needed, ['name'])
  })

  test('is cancelled, and limited, whatever is wrong with everything else', () => {
    const odd = Object.fromEntries(Object.keys(whole).map((name) => [name, { odd: true }]))
    const { cancelledAt, tokenLimit } = whole
    assert.deepEqual(storedBatch.parse({ ...odd, name: 'nightly', cancelledAt, tokenLimit }), {
      ...{ status: 'open', name: 'nightly', createdAt: 0, cancelledAt, tokenLimit },
    })
  })

  test('is cancelled by whatever a person wrote for it, unless that says no', () => {
    const cancelledAt = (value: unknown) => storedBatch.parse({ ...whole, cancelledAt: value }).cancelledAt
    for (const yes of [true, '2026-11-24', {}, START + 0.5]) assert.notEqual(cancelledAt(yes), undefined)
    for (const no of [undefined, null, false]) assert.equal(cancelledAt(no), undefined)
  })

  test('is limited by digits too', () => {
    assert.equal(storedBatch.parse({ ...whole, tokenLimit: '5000000' }).tokenLimit, 5_000_000)
  })

  test('has the counts of the statuses that are known', () => {
    const counts = { succeeded: 1, status_of_tomorrow: 2, waiting: 'some' }
    assert.deepEqual(storedBatch.parse({ ...whole, counts }).counts, { succeeded: 1 })
  })

  test('is incomplete only with the total that it was counted with: an older version seals it again and leaves that in place', () => {
    const ended = { ...whole, incomplete: { at: START + DAY_MS, total: 3 } }
    assert.partialDeepStrictEqual(storedBatch.parse(ended), { status: 'incomplete', incompleteAt: START + DAY_MS })
    assert.equal(storedBatch.parse({ ...ended, total: 5 }).status, 'sealed')
  })
})
