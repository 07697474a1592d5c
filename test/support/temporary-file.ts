import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** Names a file in a folder of its own, which goes with the test. */
export async function aTemporaryFile(t: TestContext, name = 'jobs.db'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'promptbridge-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, name)
}
