import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import {
  coalesceWrites,
  FIRESTORE_FLUSH,
  type FlushLimits,
  type PendingWrite,
  type WriteAnswer,
} from '../../shared/stores/firestore/coalesce-writes.ts'
import { StoreError } from '../../shared/stores/job-store.ts'

const LIMITS: FlushLimits = { maxWrites: 500, maxBytes: 1_000, maxFlushes: 4, maxWaitingBytes: 10_000 }

const REFUSED: WriteAnswer = { kind: 'refused' }
const IMPOSSIBLE: WriteAnswer = { kind: 'impossible' }
const written = (write: string): WriteAnswer => ({ kind: 'written', revision: `of ${write}` })

/** A call of the store's that waits for the test to answer it. */
interface Flush {
  readonly writes: readonly string[]
  answer(answers?: readonly WriteAnswer[] | 'impossible'): void
  fail(error: Error): void
}

/** A store whose flushes are answered by hand; `ask` asks for a write whose text is its own name, unless another is given. */
function open(over: Partial<FlushLimits> = {}) {
  const flushes: Flush[] = []
  const send = (writes: readonly string[]) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly WriteAnswer[] | 'impossible'>()
    flushes.push({ writes, answer: (answers = writes.map(written)) => resolve(answers), fail: reject })
    return promise
  }
  const write = coalesceWrites(send, { ...LIMITS, ...over })
  const ask = (text: string, { name = text, bytes = 1 } = {}) => write({ name, write: text, bytes })
  return {
    flushes,
    ask,
    askAll: (texts: readonly string[], bytes = 1) => texts.map((text) => ask(text, { bytes })),
    /** The writes of each flush so far. */
    sent: () => flushes.map(({ writes }) => writes),
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `doc-${i}`)

/** Lets whatever can go out go out. */
async function settle(turns = 3): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await nextTurn()
}

describe('writes that are asked for', () => {
  test('in one turn go out together, in the order they were asked for', async () => {
    const { askAll, sent } = open()
    void askAll(['a', 'b', 'c'])
    await nextTurn()
    assert.deepEqual(sent(), [['a', 'b', 'c']])
  })

  test('in another turn go out in a call of their own, while the first is under way', async () => {
    const { ask, sent } = open()
    void ask('a')
    await settle()
    void ask('b')
    await settle()
    assert.deepEqual(sent(), [['a'], ['b']])
  })

  test('each get the answer that stands at their place', async () => {
    const { askAll, flushes } = open()
    const answers = Promise.all(askAll(['a', 'b', 'c']))
    await nextTurn()
    const unavailable: WriteAnswer = { kind: 'unavailable', cause: 'status 14' }
    flushes[0]?.answer([written('a'), REFUSED, unavailable])
    assert.deepEqual(await answers, [written('a'), REFUSED, unavailable])
  })

  test('and are left without an answer are unavailable: they may have been applied', async () => {
    const { askAll, flushes } = open()
    const answers = Promise.all(askAll(['a', 'b']))
    await nextTurn()
    flushes[0]?.answer([written('a')])
    const kinds = (await answers).map(({ kind }) => kind)
    assert.deepEqual(kinds, ['written', 'unavailable'])
  })
})

describe('a flush', () => {
  for (const [what, limits, bytes, flushes] of [
    [
      'has at most so many writes; the next one goes with the next',
      { maxWrites: 2 },
      { a: 1, b: 1, c: 1 },
      ['ab', 'c'],
    ],
    ['has exactly its most bytes, and not one more', { maxBytes: 10 }, { a: 4, b: 6, c: 1 }, ['ab', 'c']],
    ['lets a later small write go with it past a large one', { maxBytes: 10 }, { a: 4, b: 7, c: 6 }, ['ac', 'b']],
    ['is one write alone where that is larger than a flush', { maxBytes: 10 }, { a: 11, b: 1, c: 1 }, ['a', 'bc']],
  ] as const) {
    test(what, async () => {
      const { ask, sent } = open(limits)
      for (const [text, size] of Object.entries(bytes)) void ask(text, { bytes: size })
      await settle()
      const joined = sent().map((writes) => writes.join(''))
      assert.deepEqual(joined, flushes)
    })
  }

  test('of Firestore has 500 writes at most', async () => {
    const { askAll, sent } = open(FIRESTORE_FLUSH)
    void askAll(numbered(501))
    await settle()
    const sizes = sent().map((writes) => writes.length)
    assert.deepEqual(sizes, [500, 1])
  })
})

describe('two writes to one document', () => {
  const first = { name: 'doc' }

  test('never share a flush: the second waits for the answer to the first', async () => {
    const { ask, flushes, sent } = open()
    const [one, other] = [ask('one', first), ask('other', first)]
    void ask('elsewhere')
    await settle()
    assert.deepEqual(sent(), [['one', 'elsewhere']])
    flushes[0]?.answer()
    assert.deepEqual(await one, written('one'))
    await settle()
    assert.deepEqual(sent(), [['one', 'elsewhere'], ['other']])
    flushes[1]?.answer()
    assert.deepEqual(await other, written('other'))
  })

  test('keep their order where the first is held back by its size', async () => {
    const { ask, flushes, sent } = open({ maxBytes: 10 })
    void ask('a', { bytes: 5 })
    void ask('one', { ...first, bytes: 6 })
    void ask('other', { ...first, bytes: 1 })
    await settle()
    assert.deepEqual(sent(), [['a'], ['one']])
    flushes[1]?.answer()
    await settle()
    assert.deepEqual(sent(), [['a'], ['one'], ['other']])
  })

  test('are both made where the first fails', async () => {
    const { ask, flushes } = open()
    const [one, other] = [ask('one', first), ask('other', first)]
    await settle()
    flushes[0]?.fail(new Error('reset'))
    assert.equal((await one).kind, 'unavailable')
    await settle()
    flushes[1]?.answer()
    assert.deepEqual(await other, written('other'))
  })
})

describe('while as many flushes are under way as may be', () => {
  test('nothing more goes out, and more gathers behind them', async () => {
    const { ask, flushes, sent } = open({ maxFlushes: 2 })
    for (const text of ['a', 'b', 'c', 'd']) {
      void ask(text)
      await settle()
    }
    assert.deepEqual(sent(), [['a'], ['b']])
    flushes[0]?.answer()
    await settle()
    assert.deepEqual(sent(), [['a'], ['b'], ['c', 'd']])
  })

  test('one that is split goes on as one: no more calls are under way for it', async () => {
    const { askAll, flushes, sent } = open({ maxFlushes: 1 })
    void askAll(['a', 'b', 'c', 'd'])
    await settle()
    flushes[0]?.answer('impossible')
    await settle()
    assert.deepEqual(sent().slice(1), [['a', 'b']])
    flushes[1]?.answer()
    await settle()
    assert.deepEqual(sent().slice(1), [
      ['a', 'b'],
      ['c', 'd'],
    ])
  })
})

describe('a flush that is refused as a whole', () => {
  /** A store that takes a call only if none of its writes is bad. */
  function openWith(bad: readonly string[]) {
    const calls: (readonly string[])[] = []
    const write = coalesceWrites(async (writes: readonly string[]) => {
      calls.push(writes)
      return writes.some((each) => bad.includes(each)) ? 'impossible' : writes.map(written)
    }, LIMITS)
    const askAll = (texts: readonly string[]) =>
      Promise.all(texts.map((text) => write({ name: text, write: text, bytes: 1 })))
    return { calls, askAll }
  }

  test('is halved until the culprit stands alone, and all others are written', async () => {
    const { calls, askAll } = openWith(['doc-3'])
    const answers = await askAll(numbered(7))
    assert.deepEqual(
      answers,
      numbered(7).map((name) => (name === 'doc-3' ? IMPOSSIBLE : written(name))),
    )
    const sizes = calls.map((writes) => writes.length)
    assert.deepEqual(sizes, [7, 4, 2, 2, 1, 1, 3])
  })

  test('says so of the only write it has', async () => {
    const { calls, askAll } = openWith(['doc-0'])
    assert.deepEqual(await askAll(['doc-0']), [IMPOSSIBLE])
    assert.equal(calls.length, 1)
  })

  test('finds every culprit there is', async () => {
    const names = numbered(8)
    const { askAll } = openWith(names)
    assert.deepEqual(
      await askAll(names),
      names.map(() => IMPOSSIBLE),
    )
  })
})

describe('a call that fails', () => {
  test('leaves all of its writes unavailable, with its cause', async () => {
    const { askAll, flushes } = open()
    const answers = Promise.all(askAll(['a', 'b']))
    await settle()
    const cause = new Error('reset')
    flushes[0]?.fail(cause)
    assert.deepEqual(await answers, [
      { kind: 'unavailable', cause },
      { kind: 'unavailable', cause },
    ])
  })

  test('before it is under way does the same, and holds nothing up', async () => {
    const cause = new Error('closed')
    const write = coalesceWrites<string>(
      () => {
        throw cause
      },
      { ...LIMITS, maxFlushes: 1 },
    )
    for (const name of ['a', 'a', 'b']) {
      assert.deepEqual(await write({ name, write: name, bytes: 1 }), { kind: 'unavailable', cause })
    }
  })
})

describe('while too much is waiting', () => {
  const isUnavailable = (error: unknown) => error instanceof StoreError && error.code === 'unavailable'

  test('a write that would be one byte too many is turned away, and one that fits is not', async () => {
    const { ask, flushes } = open({ maxWaitingBytes: 10 })
    const fitting = [ask('a', { bytes: 6 }), ask('b', { bytes: 4 })]
    await assert.rejects(ask('c', { bytes: 1 }), isUnavailable)
    await settle()
    flushes[0]?.answer()
    assert.deepEqual(await Promise.all(fitting), [written('a'), written('b')])
  })

  test('room comes back as soon as what waited is under way', async () => {
    const { ask, sent } = open({ maxWaitingBytes: 10 })
    void ask('a', { bytes: 10 })
    await assert.rejects(ask('b', { bytes: 1 }), isUnavailable)
    await nextTurn()
    void ask('c', { bytes: 10 })
    await nextTurn()
    assert.deepEqual(sent(), [['a'], ['c']])
  })
})

describe('whatever is asked for, and however the store answers', () => {
  const DOCUMENTS = 5
  const asked = fc.record({
    document: fc.nat({ max: DOCUMENTS - 1 }),
    bytes: fc.integer({ min: 1, max: 12 }),
    /** Whether the turn ends after it. */
    thenTurn: fc.boolean(),
  })
  const outcome = fc.constantFrom('written', 'refused', 'impossible', 'failed', 'thrown')
  const limits = { maxWrites: 4, maxBytes: 10, maxFlushes: 2, maxWaitingBytes: 1_000 }

  test('every write gets exactly one answer, and no document stands twice among the calls under way', () =>
    fc.assert(
      fc.asyncProperty(fc.array(asked, { maxLength: 40 }), fc.infiniteStream(outcome), async (writes, outcomes) => {
        const store = openStrictly(outcomes, limits)
        const answers: Promise<WriteAnswer>[] = []
        for (const [n, { document, bytes, thenTurn }] of writes.entries()) {
          answers.push(store.write({ name: `doc-${document}`, write: { document, n, bytes }, bytes }))
          if (thenTurn) await nextTurn()
        }
        for (const [n, answer] of (await Promise.all(answers)).entries()) {
          if (answer.kind === 'written') assert.deepEqual(answer, written(String(n)))
        }
        assert.deepEqual(store.broken, [])
        for (let document = 0; document < DOCUMENTS; document += 1) {
          const order = store.reached.filter((each) => each.document === document).map(({ n }) => n)
          const once = order.filter((n, at) => n !== order[at - 1])
          assert.deepEqual(
            once,
            once.toSorted((a, b) => a - b),
          )
        }
      }),
    ))

  interface Numbered {
    readonly document: number
    readonly n: number
    readonly bytes: number
  }

  /** A store that answers as the case says, and notes which of its limits a call breaks. */
  function openStrictly(outcomes: Iterator<string>, { maxWrites, maxBytes, maxFlushes }: FlushLimits) {
    const broken: string[] = []
    const reached: Numbered[] = []
    const underWay: (readonly Numbered[])[] = []

    function note(writes: readonly Numbered[]): void {
      const documents = [...underWay.flat(), ...writes].map(({ document }) => document)
      if (new Set(documents).size !== documents.length) broken.push('a document stands twice')
      if (writes.length > maxWrites) broken.push('too many writes')
      if (writes.length > 1 && writes.reduce((sum, { bytes }) => sum + bytes, 0) > maxBytes) broken.push('too large')
      if (underWay.length >= maxFlushes) broken.push('too many flushes')
    }

    async function answer(writes: readonly Numbered[], outcome: string) {
      underWay.push(writes)
      await nextTurn()
      underWay.splice(underWay.indexOf(writes), 1)
      if (outcome === 'failed') throw new Error('failed')
      if (outcome === 'impossible') return 'impossible'
      return writes.map(({ n }) => (outcome === 'written' ? written(String(n)) : REFUSED))
    }

    const send = (writes: readonly Numbered[]) => {
      note(writes)
      reached.push(...writes)
      const outcome = outcomes.next().value
      if (outcome === 'thrown') throw new Error('thrown')
      return answer(writes, outcome)
    }
    const write: (write: PendingWrite<Numbered>) => Promise<WriteAnswer> = coalesceWrites(send, limits)
    return { broken, reached, write }
  }
})
