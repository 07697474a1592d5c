import { openSqliteBatches } from '../../shared/store/sqlite/sqlite-batches.ts'
import { batchStoreContract } from './batch-store-contract.ts'

batchStoreContract('SQLite', async () => {
  const batches = await openSqliteBatches(':memory:')
  return { batches, close: async () => batches.close() }
})
