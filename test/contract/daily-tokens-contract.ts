import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { DailyTokensStore } from '../../shared/stores/daily-tokens.ts'
import { DAY_MS, START } from '../support/job-builders.ts'
import { factsOf } from './facts.ts'
import { isStoreError } from './job-store-support.ts'

export interface DailyTokensHarness {
  readonly days: DailyTokensStore
  close(): Promise<void>
}

const day = '2026-11-24'
const tokens = { promptTokens: 5_000_000_000, completionTokens: 3 }

/** The behaviour that every adapter of DailyTokensStore must hold. */
export function dailyTokensContract(name: string, open: () => Promise<DailyTokensHarness>): void {
  const fact = factsOf(open)

  describe(`${name}: the tokens of a day`, () => {
    fact('are undefined before the first sweep', async ({ days }) => {
      assert.equal(await days.read(day), undefined)
    })

    fact('are what the last sweep counted', async ({ days }) => {
      await days.note({ day, tokens: { promptTokens: 1, completionTokens: 1 }, sweptAt: START })
      await days.note({ day, tokens, sweptAt: START + 1 })
      assert.deepEqual(await days.read(day), { day, tokens, sweptAt: START + 1 })
    })

    fact('are no other day’s', async ({ days }) => {
      await days.note({ day, tokens, sweptAt: START })
      await days.note({ day: '2026-11-25', tokens: { promptTokens: 0, completionTokens: 0 }, sweptAt: START + DAY_MS })
      assert.deepEqual(await days.read(day), { day, tokens, sweptAt: START })
      assert.equal(await days.read('2026-11-23'), undefined)
    })

    fact('of a store that is away are an error', async ({ days, close }) => {
      await close()
      await assert.rejects(days.note({ day, tokens, sweptAt: START }), isStoreError('unavailable'))
      await assert.rejects(days.read(day), isStoreError('unavailable'))
    })
  })
}
