import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BatchStore } from '../../shared/store/batch-store.ts'
import { START } from '../support/job-builders.ts'

export interface BatchHarness {
  readonly batches: BatchStore
  close(): Promise<void>
}

/** The facts that every adapter of BatchStore must hold. */
export function batchStoreContract(name: string, open: () => Promise<BatchHarness>): void {
  const fact = (title: string, holds: (batches: BatchStore) => Promise<void>) =>
    test(title, async () => {
      const { batches, close } = await open()
      try {
        await holds(batches)
      } finally {
        await close()
      }
    })

  describe(`${name}: batches`, () => {
    fact('there is no latest one in an empty store', async (batches) => {
      assert.equal(await batches.latest(), undefined)
    })

    for (const batch of ['nightly', 'a/b', '.', '..', '__x__', 'Nacht № 7']) {
      fact(`"${batch}" is open, then sealed, then completed`, async (batches) => {
        await batches.open(batch, START)
        assert.deepEqual(await batches.latest(), { status: 'open', name: batch, createdAt: START })
        await batches.seal(batch, 3)
        assert.deepEqual(await batches.latest(), { status: 'sealed', name: batch, createdAt: START, total: 3 })
        await batches.complete(batch, START + 1)
        const completed = { status: 'completed', name: batch, createdAt: START, total: 3, completedAt: START + 1 }
        assert.deepEqual(await batches.latest(), completed)
      })
    }

    fact('one that is opened again stays as it is', async (batches) => {
      await batches.open('nightly', START)
      await batches.seal('nightly', 3)
      await batches.open('nightly', START + 1)
      assert.deepEqual(await batches.latest(), { status: 'sealed', name: 'nightly', createdAt: START, total: 3 })
    })

    fact('the latest is the one that was opened last', async (batches) => {
      await batches.open('second', START + 1)
      await batches.open('first', START)
      assert.equal((await batches.latest())?.name, 'second')
    })
  })
}
