import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { BatchStore, UnfinishedBatches } from '../../shared/stores/batch-store.ts'
import { START } from '../support/job-builders.ts'
import { factsOf } from './facts.ts'

export interface BatchHarness {
  readonly batches: BatchStore & UnfinishedBatches
  close(): Promise<void>
}

const asCompleted = (total: number, at: number) => ({ as: 'completed', total, at }) as const
const asIncomplete = (total: number, at: number) => ({ as: 'incomplete', total, at }) as const

const NIGHTLY = { name: 'nightly', createdAt: START }
/** What `sealAll` leaves of the batch nightly. */
const SEALED = { status: 'sealed', ...NIGHTLY, sealedAt: START, total: 3 }
const TOKENS = { promptTokens: 5, completionTokens: 3 }

/** Opens these batches and seals each with three jobs. */
async function sealAll(batches: BatchStore, ...names: readonly string[]): Promise<void> {
  for (const name of names) await batches.open(name, START)
  for (const name of names) await batches.seal(name, 3, START)
}

async function unfinishedIn(batches: UnfinishedBatches, pageSize = 9) {
  return (await Array.fromAsync(batches.unfinished(pageSize))).flat()
}

/** The behaviour that every adapter of BatchStore must hold. */
export function batchStoreContract(name: string, open: () => Promise<BatchHarness>): void {
  const inHarness = factsOf(open)
  const fact = (title: string, holds: (batches: BatchHarness['batches']) => Promise<void>) =>
    inHarness(title, ({ batches }) => holds(batches))

  describe(`${name}: batches`, () => {
    fact('an empty store lists none', async (batches) => {
      assert.deepEqual(await batches.list(1), [])
    })

    for (const batch of ['nightly', 'a/b', '.', '..', '__x__', 'Nacht № 7']) {
      fact(`"${batch}" is open, then sealed, then completed`, async (batches) => {
        await batches.open(batch, START)
        assert.deepEqual((await batches.list(1))[0], { status: 'open', name: batch, createdAt: START })
        await batches.seal(batch, 3, START)
        const sealed = { ...SEALED, name: batch }
        assert.deepEqual((await batches.list(1))[0], sealed)
        await batches.end(batch, asCompleted(3, START + 1))
        assert.deepEqual((await batches.list(1))[0], { ...sealed, status: 'completed', completedAt: START + 1 })
      })
    }

    fact(
      'what one was made of, and how many of its jobs are linked, stay while it is sealed again',
      async (batches) => {
        const origin = { fingerprint: 'of its jobs', source: 'of its inputs' }
        await batches.open('nightly', START, origin)
        await batches.open('nightly', START, { fingerprint: 'another', source: 'another' })
        assert.deepEqual(await batches.read('nightly'), { status: 'open', ...NIGHTLY, ...origin })
        await batches.seal('nightly', 3, START, 2)
        await batches.seal('nightly', 3, START)
        assert.deepEqual((await batches.list(1))[0], { ...SEALED, ...origin, linked: 2 })
      },
    )

    fact('one that is opened again stays as it is', async (batches) => {
      await sealAll(batches, 'nightly')
      await batches.open('nightly', START + 1)
      assert.deepEqual((await batches.list(1))[0], SEALED)
    })

    for (const batch of ['nightly', '__x__']) {
      fact(`"${batch}" is read by its name, and no other`, async (batches) => {
        assert.equal(await batches.read(batch), undefined)
        await batches.open(batch, START)
        await batches.open('another', START + 1)
        assert.deepEqual(await batches.read(batch), { status: 'open', name: batch, createdAt: START })
      })
    }

    const controls = {
      'that is cancelled': [(on: BatchStore) => on.cancel('nightly', START + 1), { cancelledAt: START + 1 }],
      'whose tokens are limited': [
        (on: BatchStore) => on.limitTokens('nightly', 5_000_000_000, START + 1),
        { tokenLimit: 5_000_000_000, activeAt: START + 1 },
      ],
    } as const
    for (const [which, [control, fields]] of Object.entries(controls)) {
      fact(`one ${which} stays so while it is sealed and completed`, async (batches) => {
        await batches.open('nightly', START)
        await control(batches)
        assert.deepEqual(await batches.read('nightly'), { status: 'open', ...NIGHTLY, ...fields })
        await batches.seal('nightly', 3, START)
        assert.deepEqual(await batches.read('nightly'), { ...SEALED, ...fields })
        await batches.end('nightly', asCompleted(3, START + 2))
        const completed = { ...SEALED, ...fields, status: 'completed', completedAt: START + 2 }
        assert.deepEqual(await batches.read('nightly'), completed)
      })
    }

    fact('a batch that was never opened can be cancelled', async (batches) => {
      await batches.cancel('nightly', START)
      const cancelled = { status: 'open', name: 'nightly', createdAt: START, cancelledAt: START }
      assert.deepEqual(await batches.read('nightly'), cancelled)
    })

    fact('a batch that was never opened can be limited, and the last limit stands', async (batches) => {
      await batches.limitTokens('nightly', 5, START)
      await batches.limitTokens('nightly', 7, START + 1)
      const limited = { status: 'open', name: 'nightly', createdAt: START, tokenLimit: 7, activeAt: START + 1 }
      assert.deepEqual(await batches.read('nightly'), limited)
    })

    fact('a completed batch with a new limit is unfinished again, and keeps its counts', async (batches) => {
      const totals = { counts: { succeeded: 3 }, tokens: TOKENS, sweptAt: START }
      await sealAll(batches, 'nightly')
      await batches.note('nightly', totals)
      await batches.end('nightly', asCompleted(3, START + 1))
      await batches.limitTokens('nightly', 9, START + 2)
      const again = { ...SEALED, tokenLimit: 9, ...totals, activeAt: START + 2 }
      assert.deepEqual(await unfinishedIn(batches), [again])
    })

    fact('an open one is unfinished once its tokens are limited', async (batches) => {
      const totals = { counts: { succeeded: 1 }, tokens: TOKENS, sweptAt: START + 1 }
      await batches.open('nightly', START)
      assert.deepEqual(await unfinishedIn(batches), [])
      await batches.limitTokens('nightly', 9, START)
      await batches.note('nightly', totals)
      const open = { status: 'open', name: 'nightly', createdAt: START, tokenLimit: 9, ...totals }
      assert.deepEqual([await unfinishedIn(batches), await batches.read('nightly')], [[open], open])
    })

    fact('one is completed once: the first time stands', async (batches) => {
      await sealAll(batches, 'nightly')
      await Promise.all([1, 1].map((ms) => batches.end('nightly', asCompleted(3, START + ms))))
      await batches.end('nightly', asCompleted(3, START + 2))
      assert.partialDeepStrictEqual(await batches.read('nightly'), { status: 'completed', completedAt: START + 1 })
    })

    fact(
      'the unfinished ones are sealed and not completed; those come first that were swept longest ago',
      async (on) => {
        const totals = { counts: { succeeded: 2, dead_lettered: 1 }, tokens: TOKENS }
        await on.open('open', START)
        await sealAll(on, 'a', 'b', 'c', 'done')
        await on.end('done', asCompleted(3, START))
        await on.note('a', { ...totals, sweptAt: START + 2 })
        await on.note('b', { ...totals, sweptAt: START + 1 })
        const names = async (pageSize: number) => (await unfinishedIn(on, pageSize)).map(({ name }) => name).join()
        assert.deepEqual([await names(9), await names(2), await names(1)], ['c,b,a', 'c,b,a', 'c,b,a'])
        const { counts } = totals
        assert.deepEqual(await on.read('a'), { ...SEALED, name: 'a', ...totals, sweptAt: START + 2 })
        await on.note('a', { counts, sweptAt: START + 3 })
        assert.deepEqual(await on.read('a'), { ...SEALED, name: 'a', counts, sweptAt: START + 3 })
      },
    )

    fact('one that was completed and is submitted to again is unfinished again', async (batches) => {
      await sealAll(batches, 'nightly')
      await batches.end('nightly', asCompleted(3, START + 1))
      assert.deepEqual(await unfinishedIn(batches), [])
      await batches.seal('nightly', 5, START + 2)
      assert.deepEqual(await unfinishedIn(batches), [{ ...SEALED, sealedAt: START + 2, total: 5 }])
    })

    fact('the latest are listed first, and no more than the limit', async (batches) => {
      const opened = { second: START + 1, first: START, third: START + 2 }
      for (const [name, at] of Object.entries(opened)) await batches.open(name, at)
      const names = async (limit: number) => (await batches.list(limit)).map(({ name }) => name).join()
      assert.deepEqual([await names(2), await names(9)], ['third,second', 'third,second,first'])
    })

    fact('one that cannot complete is incomplete, and unfinished no more: the first time stands', async (batches) => {
      await sealAll(batches, 'nightly')
      await batches.end('nightly', asIncomplete(3, START + 1))
      await batches.end('nightly', asIncomplete(3, START + 2))
      await batches.end('nightly', asCompleted(3, START + 2))
      const ended = { ...SEALED, status: 'incomplete', incompleteAt: START + 1 }
      assert.deepEqual(await batches.read('nightly'), ended)
      assert.deepEqual(await unfinishedIn(batches), [])
    })

    for (const end of [asCompleted, asIncomplete]) {
      const { as } = end(0, 0)
      fact(`one that is ${as} and is sealed, or limited, again goes on`, async (batches) => {
        await sealAll(batches, 'sealed', 'limited')
        for (const name of ['sealed', 'limited']) await batches.end(name, end(3, START + 1))
        await batches.seal('sealed', 3, START + 2)
        await batches.limitTokens('limited', 9, START + 2)
        const names = (await unfinishedIn(batches)).map(({ name }) => name)
        assert.deepEqual(names.toSorted(), ['limited', 'sealed'])
      })

      fact(`one that was sealed with more jobs than were counted is not ${as}`, async (batches) => {
        await batches.open('nightly', START)
        await batches.seal('nightly', 5, START)
        await batches.end('nightly', end(3, START + 1))
        assert.partialDeepStrictEqual(await batches.read('nightly'), { status: 'sealed', total: 5 })
      })
    }

    fact(
      'one that could not be counted comes behind the others, and keeps what was counted before',
      async (batches) => {
        const totals = {
          counts: { succeeded: 2 },
          tokens: TOKENS,
          sweptAt: START + 1,
        }
        await sealAll(batches, 'a', 'b')
        await batches.note('a', totals)
        await batches.note('b', { ...totals, sweptAt: START + 2 })
        await batches.defer('a', START + 3)
        const names = (await unfinishedIn(batches)).map(({ name }) => name)
        assert.equal(names.join(), 'b,a')
        const sealed = { ...SEALED, name: 'a' }
        assert.deepEqual(await batches.read('a'), { ...sealed, ...totals, deferredAt: START + 3 })
        await batches.note('a', { ...totals, sweptAt: START + 4 })
        assert.deepEqual(await batches.read('a'), { ...sealed, ...totals, sweptAt: START + 4 })
      },
    )

    fact('one that is not there is made by no count and no deferral', async (batches) => {
      await batches.note('nightly', { counts: {}, sweptAt: START })
      await batches.defer('nightly', START)
      assert.equal(await batches.read('nightly'), undefined)
    })

    fact('an open one that is left out is unfinished again once it is limited again, or sealed', async (batches) => {
      for (const name of ['a', 'b']) {
        await batches.limitTokens(name, 5, START)
        await batches.leaveOut({ name, tokenLimit: 5, activeAt: START })
      }
      assert.deepEqual(await unfinishedIn(batches), [])
      await batches.limitTokens('a', 5, START + 1)
      await batches.seal('b', 3, START + 1)
      const names = (await unfinishedIn(batches)).map(({ name }) => name)
      assert.deepEqual(names.toSorted(), ['a', 'b'])
    })

    fact('one that was limited again meanwhile is not left out', async (batches) => {
      await batches.limitTokens('nightly', 5, START)
      await batches.limitTokens('nightly', 5, START + 1)
      await batches.leaveOut({ name: 'nightly', tokenLimit: 5, activeAt: START })
      assert.equal((await unfinishedIn(batches)).length, 1)
    })
  })
}
