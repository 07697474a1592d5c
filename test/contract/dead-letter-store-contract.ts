import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { DeadLetterStore } from '../../shared/stores/dead-letter-store.ts'
import { aDeadLetterOf, aNewDeadLetter, hashOf, LETTER_DATA } from '../support/dead-letter-builders.ts'
import { DAY_MS, START } from '../support/job-builders.ts'
import { factsOf } from './facts.ts'
import { isStoreError } from './job-store-support.ts'

export interface DeadLetterHarness {
  readonly letters: DeadLetterStore
  /** Another process's view of the same store. */
  another(): Promise<DeadLetterStore>
  /** Makes a letter's document malformed. */
  spoil(id: string): Promise<void>
  close(): Promise<void>
}

const MANY = 100
const other = Buffer.from('another payload')

/** The behaviour that every adapter of DeadLetterStore must hold. */
export function deadLetterStoreContract(name: string, open: () => Promise<DeadLetterHarness>): void {
  const inHarness = factsOf(open)
  const fact = (title: string, holds: (letters: DeadLetterStore, harness: DeadLetterHarness) => Promise<void>) =>
    inHarness(title, (harness) => holds(harness.letters, harness))
  const idsOf = async (letters: DeadLetterStore, ...args: Parameters<DeadLetterStore['list']>) =>
    (await letters.list(...args)).found.map(({ id }) => id)
  const dataOf = async (letters: DeadLetterStore, id: string) => {
    const letter = await letters.get(id)
    assert.ok(letter)
    return Buffer.from(await letters.readData(letter))
  }

  describe(`${name}: a dead letter`, () => {
    fact('comes back as it was written, and its data too', async (letters) => {
      const expected = aDeadLetterOf()
      assert.deepEqual(await letters.put(aNewDeadLetter(), LETTER_DATA), expected)
      assert.deepEqual(await letters.get(expected.id), expected)
      assert.deepEqual(await dataOf(letters, expected.id), LETTER_DATA)
    })

    fact('with the least there can be is named by the hash of its data', async (letters) => {
      const least = { batch: '', run: 1, reason: 'invalid', message: '', attributes: {} }
      const came = { ...least, at: START, expireAt: START + DAY_MS }
      const letter = await letters.put(came, Buffer.alloc(0))
      assert.equal(letter.id, `${hashOf(Buffer.alloc(0))}:1`)
      assert.deepEqual(await letters.get(letter.id), aDeadLetterOf(came, Buffer.alloc(0)))
      assert.deepEqual(await dataOf(letters, letter.id), Buffer.alloc(0))
    })

    for (const [size, bytes] of [
      ['that are no text', 256],
      ['of 600 KiB', 600 * 1024],
      ['one more than 600 KiB', 600 * 1024 + 1],
      ['of 1 MB', 1_000_000],
      ['of 9 MB', 9_000_000],
      ['of 10 MB', 10_000_000],
    ] as const) {
      fact(`keeps bytes ${size} as they came`, async (letters) => {
        const data = randomBytes(bytes)
        const { id } = await letters.put(aNewDeadLetter(), data)
        assert.ok((await dataOf(letters, id)).equals(data))
      })
    }

    fact('fits beside attributes that are as many and as long as may be', async (letters) => {
      const name = (n: number) => `${n}`.padEnd(256, 'x')
      const attributes = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [name(n), 'y'.repeat(1_024)]))
      const { id } = await letters.put(aNewDeadLetter({ attributes }), randomBytes(600 * 1024))
      assert.deepEqual((await letters.get(id))?.attributes, attributes)
    })

    fact('that was never written is not found, whatever its id', async (letters) => {
      for (const id of ['key:1', '', '.', '..', 'a/b', '__x__']) assert.equal(await letters.get(id), undefined, id)
    })

    fact('that could not be read again is refused', async (letters) => {
      await assert.rejects(letters.put(aNewDeadLetter({ at: Number.NaN }), LETTER_DATA), isStoreError('refused'))
      await assert.rejects(letters.put(aNewDeadLetter({ key: 'a/b' }), LETTER_DATA), isStoreError('refused'))
    })
  })

  describe(`${name}: a dead letter that comes twice`, () => {
    fact('is one: its newest content replaces the older, and its counts continue', async (letters) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      await letters.beginReplay(aDeadLetterOf(), START)
      await letters.endReplay(id, 'published', START + 1)
      const { code, hint, ...rest } = aNewDeadLetter({ at: START + 5_000, reason: 'max_age', message: 'too old' })
      const came = { ...rest, expireAt: START + 31 * DAY_MS }
      const stands = {
        ...aDeadLetterOf(came),
        ...{ firstAt: START, times: 2, replays: { n: 1, lastAt: START + 1 } },
      }
      assert.deepEqual(await letters.put(came, LETTER_DATA), stands)
      assert.deepEqual(await letters.list({}, MANY), { found: [stands], unreadable: 0 })
    })

    fact('is verified no longer, where the message that came last only says why it failed', async (letters) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      const { verified, hint, ...claimed } = aNewDeadLetter({ reason: 'budget' })
      await letters.put(claimed, LETTER_DATA)
      const letter = await letters.get(id)
      assert.deepEqual([letter?.reason, letter?.verified, letter?.hint], ['budget', undefined, undefined])
    })

    fact('keeps its large data', async (letters) => {
      const data = randomBytes(2_000_000)
      await letters.put(aNewDeadLetter(), data)
      const { id, times } = await letters.put(aNewDeadLetter(), data)
      assert.equal(times, 2)
      assert.ok((await dataOf(letters, id)).equals(data))
    })

    fact('at once, in two processes, is one that came twice', async (letters, { another }) => {
      const also = await another()
      await Promise.all([letters, also].map((each) => each.put(aNewDeadLetter(), LETTER_DATA)))
      const { found } = await letters.list({}, MANY)
      const times = found.map(({ times }) => times)
      assert.deepEqual(times, [2])
    })
  })

  describe(`${name}: two messages of one key and run`, () => {
    fact('are two letters, each with its own data', async (letters) => {
      const first = await letters.put(aNewDeadLetter(), LETTER_DATA)
      const second = await letters.put(aNewDeadLetter({ reason: 'conflict' }), other)
      assert.equal(second.id, `${hashOf(other)}:2`)
      assert.deepEqual(await letters.get(first.id), aDeadLetterOf())
      assert.deepEqual(await dataOf(letters, first.id), LETTER_DATA)
      assert.deepEqual(await dataOf(letters, second.id), other)
    })

    fact('are two letters however often each of them comes', async (letters) => {
      for (let n = 0; n < 2; n += 1) {
        await letters.put(aNewDeadLetter(), LETTER_DATA)
        await letters.put(aNewDeadLetter(), other)
      }
      const { found } = await letters.list({}, MANY)
      const times = found.map(({ times }) => times)
      assert.deepEqual(times, [2, 2])
    })
  })

  describe(`${name}: a list of dead letters`, () => {
    const keys = ['d', 'b', 'a', 'c', 'e']
    const fill = async (letters: DeadLetterStore) => {
      for (const [n, key] of keys.entries()) {
        const batch = n % 2 === 0 ? 'even' : 'odd'
        const of = { key, batch, reason: key === 'a' ? 'unknown' : 'rejected', at: START + n, run: 1 }
        await letters.put(aNewDeadLetter({ ...of, model: key === 'd' ? 'gpt-5' : 'gpt-4o' }), Buffer.from(key))
      }
    }

    fact('is empty in an empty store', async (letters) => {
      assert.deepEqual(await letters.list({}, MANY), { found: [], unreadable: 0 })
    })

    fact('goes by their ids, and on after the last of a page', async (letters) => {
      await fill(letters)
      assert.deepEqual(await idsOf(letters, {}, MANY), ['a:1', 'b:1', 'c:1', 'd:1', 'e:1'])
      assert.deepEqual(await idsOf(letters, {}, 2), ['a:1', 'b:1'])
      assert.deepEqual(await idsOf(letters, {}, 2, 'b:1'), ['c:1', 'd:1'])
      assert.deepEqual(await idsOf(letters, {}, 2, 'd:1'), ['e:1'])
    })

    fact('holds those of one batch, reason or model, or of all three', async (letters) => {
      await fill(letters)
      assert.deepEqual(await idsOf(letters, { batch: 'odd' }, MANY), ['b:1', 'c:1'])
      assert.deepEqual(await idsOf(letters, { reason: 'unknown' }, MANY), ['a:1'])
      assert.deepEqual(await idsOf(letters, { model: 'gpt-5' }, MANY), ['d:1'])
      const all = { batch: 'even', reason: 'rejected', model: 'gpt-4o' }
      assert.deepEqual(await idsOf(letters, all, MANY), ['e:1'])
      assert.deepEqual(await idsOf(letters, { batch: 'even', reason: 'rejected' }, 1, 'd:1'), ['e:1'])
      assert.deepEqual(await idsOf(letters, { batch: 'none' }, MANY), [])
    })

    fact(
      'holds those that came since a time, up to the very millisecond, and looks on past the others',
      async (letters) => {
        await fill(letters)
        assert.deepEqual(await idsOf(letters, { since: START + 2 }, MANY), ['a:1', 'c:1', 'e:1'])
        assert.deepEqual(await idsOf(letters, { since: START + 4 }, 1), ['e:1'])
        assert.deepEqual(await idsOf(letters, { since: START + 5 }, 1), [])
      },
    )

    fact('holds those that came before a time, and those that were replayed or are open', async (letters) => {
      await fill(letters)
      assert.deepEqual(await idsOf(letters, { before: START + 2 }, MANY), ['b:1', 'd:1'])
      await letters.endReplay('b:1', 'published', START + 9)
      assert.deepEqual(await idsOf(letters, { status: 'replayed' }, MANY), ['b:1'])
      assert.deepEqual(await idsOf(letters, { status: 'open', before: START + 4 }, 2, 'a:1'), ['c:1', 'd:1'])
    })

    fact('counts a malformed one, and hides no other', async (letters, { spoil }) => {
      await fill(letters)
      await spoil('b:1')
      const { found, unreadable } = await letters.list({}, MANY)
      assert.deepEqual([found.length, unreadable], [4, 1])
      assert.deepEqual(await idsOf(letters, {}, 2), ['a:1', 'c:1'])
      await assert.rejects(letters.get('b:1'), isStoreError('corrupt'))
    })
  })

  describe(`${name}: a document that was corrupted by hand`, () => {
    fact('does not prevent that a new dead letter is kept', async (letters, { spoil }) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      await spoil(id)
      const again = await letters.put(aNewDeadLetter(), LETTER_DATA)
      assert.equal(again.id, `${hashOf(LETTER_DATA)}:2`)
      await spoil(again.id)
      await letters.put(aNewDeadLetter(), LETTER_DATA)
      assert.deepEqual(await dataOf(letters, again.id), LETTER_DATA)
    })
  })

  describe(`${name}: a replay`, () => {
    const counted = (n: number, lastAt: number) => ({ ...aDeadLetterOf(), replays: { n, lastAt } })

    fact('is counted where its message was published, with the time of the last', async (letters) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      assert.equal(await letters.beginReplay(aDeadLetterOf(), START), true)
      assert.equal(await letters.endReplay(id, 'published', START + 1), true)
      assert.deepEqual(await letters.get(id), counted(1, START + 1))
      assert.equal(await letters.beginReplay(counted(1, START + 1), START + 2), true)
      await letters.endReplay(id, 'published', START + 3)
      assert.deepEqual(await letters.get(id), counted(2, START + 3))
      assert.deepEqual(await dataOf(letters, id), LETTER_DATA)
    })

    fact('that is abandoned is not counted, and another may begin', async (letters) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      await letters.beginReplay(aDeadLetterOf(), START)
      assert.equal(await letters.endReplay(id, 'abandoned', START + 1), true)
      assert.deepEqual(await letters.get(id), aDeadLetterOf())
      assert.equal(await letters.beginReplay(aDeadLetterOf(), START + 2), true)
    })

    fact('does not begin on a letter that was replayed since it was read', async (letters) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      await letters.beginReplay(aDeadLetterOf(), START)
      await letters.endReplay(id, 'published', START + 1)
      assert.equal(await letters.beginReplay(aDeadLetterOf(), START + 2), false)
    })

    fact(
      'is one of however many begin at once, until ten minutes after one that never ended',
      async (letters, open) => {
        await letters.put(aNewDeadLetter(), LETTER_DATA)
        const also = await open.another()
        const all = [letters, also, letters].map((each) => each.beginReplay(aDeadLetterOf(), START))
        assert.deepEqual((await Promise.all(all)).toSorted(), [false, false, true])
        assert.equal(await also.beginReplay(aDeadLetterOf(), START + 599_999), false)
        assert.equal(await also.beginReplay(aDeadLetterOf(), START + 600_000), true)
      },
    )

    fact('of what is not there is none', async (letters) => {
      assert.equal(await letters.beginReplay({ id: 'unknown:1', replays: { n: 0 } }, START), false)
      assert.equal(await letters.endReplay('unknown:1', 'published', START), false)
      assert.deepEqual(await letters.list({}, MANY), { found: [], unreadable: 0 })
    })
  })

  describe(`${name}: a dead letter that is discarded`, () => {
    fact('is gone with its data, and no other', async (letters) => {
      const data = randomBytes(2_000_000)
      const { id } = await letters.put(aNewDeadLetter(), data)
      const second = await letters.put(aNewDeadLetter(), other)
      assert.equal(await letters.discard(id), true)
      assert.equal(await letters.get(id), undefined)
      assert.deepEqual((await letters.list({}, MANY)).found, [second])
      assert.equal(await letters.discard(id), false)
    })

    fact('may be malformed, and its message may be redelivered', async (letters, { spoil }) => {
      const { id } = await letters.put(aNewDeadLetter(), LETTER_DATA)
      await spoil(id)
      assert.equal(await letters.discard(id), true)
      assert.deepEqual(await letters.put(aNewDeadLetter(), LETTER_DATA), aDeadLetterOf())
    })
  })

  test(`${name}: dead letters of a store that is away are an error, never an empty list`, async () => {
    const { letters, close } = await open()
    await close()
    const calls = {
      put: () => letters.put(aNewDeadLetter(), LETTER_DATA),
      get: () => letters.get('key:1'),
      readData: () => letters.readData(aDeadLetterOf()),
      list: () => letters.list({}, 1),
      beginReplay: () => letters.beginReplay(aDeadLetterOf(), START),
      endReplay: () => letters.endReplay('key:1', 'published', START),
      discard: () => letters.discard('key:1'),
    }
    for (const [call, made] of Object.entries(calls)) await assert.rejects(made(), isStoreError('unavailable'), call)
  })
}
