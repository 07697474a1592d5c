import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { FILTERED_ID, TOO_LONG_ID } from '../../cli/demo/demo-jobs.ts'
import { newFolder, runCommand } from './cli-harness.ts'

test('demo --json --quiet prints one JSON document and nothing else, and writes a line for each job, of the two that fail on purpose with the reason', async (t) => {
  const folder = await newFolder(t)
  const results = join(folder, 'a folder that is not there', 'results.jsonl')
  const args = ['demo', '--documents', '6', '--folder', folder, '--results', results]
  const { code, stdout, stderr } = await runCommand(t, [...args, '--json', '--quiet'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.partialDeepStrictEqual(JSON.parse(stdout), { problems: [] })
  const lines = await readResults(results)
  assert.equal(new Set(lines.map(({ custom_id }) => custom_id)).size, 8)
  assert.deepEqual(
    lines.filter(({ error }) => error !== null).map(({ custom_id, error }) => [custom_id, error?.code]),
    [
      [FILTERED_ID, 'content_filter/ResponsibleAIPolicyViolation'],
      [TOO_LONG_ID, 'context_length_exceeded'],
    ],
  )
  for (const { response } of lines) if (response !== null) assert.equal(response.status_code, 200)
})

const resultLine = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number(), request_id: z.string(), body: z.looseObject({}) }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
})

async function readResults(path: string) {
  const text = await readFile(path, 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => resultLine.parse(JSON.parse(line)))
}
