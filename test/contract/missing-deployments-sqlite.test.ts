import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteMissingDeployments } from '../../shared/stores/sqlite/sqlite-missing-deployments.ts'
import { START } from '../support/job-builders.ts'
import { missingDeploymentsContract } from './missing-deployments-contract.ts'

missingDeploymentsContract('SQLite', async () => {
  let now = START
  const folder = await mkdtemp(join(tmpdir(), 'missing-'))
  const open = () => openSqliteMissingDeployments(join(folder, 'state.db'), () => now)
  const [missing, another] = [await open(), await open()]
  return {
    missing,
    another,
    async pass(ms) {
      now += ms
    },
    async close() {
      missing.close()
      another.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
})
