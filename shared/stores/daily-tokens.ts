import { z } from 'zod'
import type { Usage } from '../job/record.ts'

/** What the sweep counted of a day. */
export interface DailyTokens {
  /** `yyyy-mm-dd` in UTC. */
  readonly day: string
  readonly tokens: Usage
  /** Epoch milliseconds. */
  readonly sweptAt: number
}

/** Keeps what each day's answers took. Rejects with StoreError. */
export interface DailyTokensStore {
  /** In place of what was counted of the day before. */
  note(counted: DailyTokens): Promise<void>
  read(day: string): Promise<DailyTokens | undefined>
}

/** A day's tokens as stores keep them. */
export const storedDailyTokens = z.object({
  day: z.string(),
  tokens: z.object({ promptTokens: z.number(), completionTokens: z.number() }),
  sweptAt: z.number(),
})

/** The day of an instant, `yyyy-mm-dd` in UTC. `at`: epoch milliseconds. */
export function utcDay(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
