import { openSqlitePausedDeployments } from '../../shared/stores/sqlite/sqlite-paused-deployments.ts'
import { pausedDeploymentsContract } from './paused-deployments-contract.ts'

pausedDeploymentsContract('SQLite', async () => {
  const paused = await openSqlitePausedDeployments(':memory:')
  return { paused, close: async () => paused.close() }
})
