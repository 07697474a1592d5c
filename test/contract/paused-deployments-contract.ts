import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { PausedDeployments } from '../../shared/stores/paused-deployments.ts'
import { factsOf } from './facts.ts'
import { isStoreError } from './job-store-support.ts'

export interface PausedDeploymentsHarness {
  readonly paused: PausedDeployments
  close(): Promise<void>
}

/** The behaviour that every adapter of PausedDeployments must hold. */
export function pausedDeploymentsContract(name: string, open: () => Promise<PausedDeploymentsHarness>): void {
  const fact = factsOf(open)

  describe(`${name}: the paused deployments`, () => {
    fact('are none at first', async ({ paused }) => {
      assert.deepEqual(await paused.list(), [])
      assert.equal(await paused.resume('eu'), false)
    })

    fact('are those that were paused and not resumed, each once', async ({ paused }) => {
      const steps = [await paused.pause('eu'), await paused.pause('eu'), await paused.pause('gpt at us.example/x')]
      assert.deepEqual(steps, [true, false, true])
      assert.deepEqual((await paused.list()).toSorted(), ['eu', 'gpt at us.example/x'])
      assert.deepEqual([await paused.resume('eu'), await paused.resume('eu')], [true, false])
      assert.deepEqual(await paused.list(), ['gpt at us.example/x'])
    })

    fact('are all kept when several are paused at once', async ({ paused }) => {
      const names = ['a', 'b', 'c']
      await Promise.all(names.map((each) => paused.pause(each)))
      assert.deepEqual((await paused.list()).toSorted(), names)
    })

    fact('of a store that is away are an error', async ({ paused, close }) => {
      await close()
      await assert.rejects(paused.list(), isStoreError('unavailable'))
      await assert.rejects(paused.pause('eu'), isStoreError('unavailable'))
      await assert.rejects(paused.resume('eu'), isStoreError('unavailable'))
    })
  })
}
