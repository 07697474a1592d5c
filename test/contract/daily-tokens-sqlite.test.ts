import { openSqliteDailyTokens } from '../../shared/stores/sqlite/sqlite-daily-tokens.ts'
import { dailyTokensContract } from './daily-tokens-contract.ts'

dailyTokensContract('SQLite', async () => {
  const days = await openSqliteDailyTokens(':memory:')
  return { days, close: async () => days.close() }
})
