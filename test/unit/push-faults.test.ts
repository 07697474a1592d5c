import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  chooseDuplicate,
  createPushFaultBook,
  type PushFault,
  pushFaultSchema,
} from '../../local/pubsub-push/push-faults.ts'

const JOBS = 'projects/p/subscriptions/jobs'
const duplicate = (rate: number): PushFault[] => [{ kind: 'duplicate', rate }]
const ids = Array.from({ length: 2_000 }, (_, n) => String(n))

describe('duplicates', () => {
  test('at a rate of 1 every message is chosen, at 0 none', () => {
    assert.ok(ids.every((id) => chooseDuplicate(duplicate(1), id, JOBS) !== undefined))
    assert.ok(ids.every((id) => chooseDuplicate(duplicate(0), id, JOBS) === undefined))
  })

  test('at a rate of 0.3 about three in ten are', () => {
    const chosen = ids.filter((id) => chooseDuplicate(duplicate(0.3), id, JOBS) !== undefined).length
    assert.ok(chosen > 500 && chosen < 700, `${chosen} of ${ids.length}`)
  })

  test('some copies come alongside, some after the ack', () => {
    const when = new Set(ids.map((id) => chooseDuplicate(duplicate(1), id, JOBS)))
    assert.deepEqual(when, new Set(['alongside', 'after-ack']))
  })

  test('the choice hangs on the message id alone, and a higher rate only adds to it', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), (id, rate) => {
        const choice = chooseDuplicate(duplicate(rate), id, JOBS)
        assert.equal(chooseDuplicate(duplicate(rate), id, JOBS), choice)
        if (choice !== undefined) assert.equal(chooseDuplicate(duplicate(1), id, JOBS), choice)
      }),
    )
  })

  test('a fault that names another subscription is not meant', () => {
    assert.equal(chooseDuplicate([{ kind: 'duplicate', rate: 1, match: 'dead' }], '1', JOBS), undefined)
  })
})

describe('counted faults', () => {
  test('a fault is used up after its times', () => {
    const book = createPushFaultBook()
    book.place({ kind: 'lose-ack', times: 2 })
    const taken = [1, 2, 3].map(() => book.take('lose-ack', JOBS) !== undefined)
    assert.deepEqual(taken, [true, true, false])
  })

  test('the next of its kind takes over, and other kinds stay', () => {
    const book = createPushFaultBook()
    book.place({ kind: 'forge-token', times: 1, token: 'expired' })
    book.place({ kind: 'lose-ack', times: 1 })
    book.place({ kind: 'forge-token', times: 1, token: 'none' })
    assert.equal(book.take('forge-token', JOBS)?.token, 'expired')
    assert.equal(book.take('forge-token', JOBS)?.token, 'none')
    assert.deepEqual(book.placed(), [{ kind: 'lose-ack', times: 1 }])
  })

  test('a fault that names another subscription is left alone', () => {
    const book = createPushFaultBook()
    book.place({ kind: 'lose-ack', times: 1, match: 'dead' })
    assert.equal(book.take('lose-ack', JOBS), undefined)
    assert.notEqual(book.take('lose-ack', 'projects/p/subscriptions/dead'), undefined)
  })

  test('a fault without times strikes once', () => {
    assert.deepEqual(pushFaultSchema.parse({ kind: 'lose-ack' }), { kind: 'lose-ack', times: 1 })
  })

  test('unknown kinds and fields are refused', () => {
    for (const wrong of [{ kind: 'explode' }, { kind: 'lose-ack', rate: 1 }, { kind: 'duplicate', rate: 1.1 }])
      assert.equal(pushFaultSchema.safeParse(wrong).success, false)
  })
})
