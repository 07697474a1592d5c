import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { MissingDeployments } from '../../shared/stores/missing-deployments.ts'
import { factsOf } from './facts.ts'
import { isStoreError } from './job-store-support.ts'

export interface MissingDeploymentsHarness {
  /** One instance's. */
  readonly missing: MissingDeployments
  /** Another instance's, over the same store. */
  readonly another: MissingDeployments
  /** Lets at least so many milliseconds pass by the store's clock. */
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

const large = 'gpt-4o at contoso.openai.azure.com'
const small = 'gpt-4o-mini at contoso.openai.azure.com'

/** The behaviour that every adapter of MissingDeployments must hold. */
export function missingDeploymentsContract(name: string, open: () => Promise<MissingDeploymentsHarness>): void {
  const fact = factsOf(open)

  describe(`${name}: the episode of a missing deployment`, () => {
    fact('begins when one instance finds it missing, and goes on for another', async ({ missing, another, pass }) => {
      assert.equal(await missing.found(large), 0)
      await pass(20)
      const lasted = await another.found(large)
      assert.ok(lasted >= 20, `${lasted}`)
      await pass(20)
      assert.ok((await missing.found(large)) >= lasted + 20)
    })

    fact('ends when any instance had an answer, and the next begins at zero', async ({ missing, another, pass }) => {
      await missing.found(large)
      await pass(20)
      await another.end(large)
      assert.equal(await missing.found(large), 0)
      await pass(20)
      assert.ok((await another.found(large)) >= 20)
    })

    fact('is one for each deployment', async ({ missing, pass }) => {
      await missing.found(large)
      await pass(20)
      assert.equal(await missing.found(small), 0)
      await missing.end(small)
      assert.ok((await missing.found(large)) >= 20)
    })

    fact('that was never begun can be ended', async ({ missing }) => {
      await missing.end(large)
      assert.equal(await missing.found(large), 0)
    })

    fact('is one for instances that begin it together', async ({ missing, another, pass }) => {
      await Promise.all([missing.found(large), another.found(large)])
      await pass(20)
      const lasted = await Promise.all([missing.found(large), another.found(large)])
      assert.ok(
        lasted.every((ms) => ms >= 20),
        `${lasted}`,
      )
    })

    fact('may be of a deployment with any name', async ({ missing, pass }) => {
      for (const odd of ['.', '__x__', 'a/b', 'ü ☃']) assert.equal(await missing.found(odd), 0)
      await pass(20)
      assert.ok((await missing.found('a/b')) >= 20)
    })

    fact('of a store that is away is an error', async ({ missing, close }) => {
      await close()
      await assert.rejects(missing.found(large), isStoreError('unavailable'))
      await assert.rejects(missing.end(large), isStoreError('unavailable'))
    })
  })
}
