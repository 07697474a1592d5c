import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { newFolder, runCommand } from '../../integration/cli-harness.ts'

const accounts = z.object({
  jobs: z.number(),
  succeeded: z.number(),
  deadLettered: z.number(),
  kills: z.number(),
  problems: z.array(z.string()),
})

test('a demo whose worker is killed again and again accounts for every job', async (t) => {
  const folder = await newFolder(t)
  const files = ['--folder', join(folder, 'state'), '--results', join(folder, 'results.jsonl')]
  const { code, stdout, stderr } = await runCommand(t, ['demo', '--kill', '--documents', '120', '--json', ...files])
  assert.equal(code, 0, stderr)
  const { jobs, succeeded, deadLettered, kills, problems } = accounts.parse(JSON.parse(stdout))
  assert.deepEqual([jobs, succeeded, deadLettered, problems], [122, 120, 2, []])
  assert.ok(kills > 0)
})
