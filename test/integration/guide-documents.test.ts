import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guideSteps, runStep } from '../support/guide.ts'
import { newFolder } from './cli-harness.ts'

test('the guide to documents: its commands run one after another, and print what it says', async (t) => {
  const cwd = await newFolder(t)
  for (const step of guideSteps('docs/guides/documents.md')) await runStep(t, step, { cwd })
})

test('getting started: its file of one job is answered, and prints what the page says', async (t) => {
  const step = guideSteps('docs/getting-started.md').find(({ commands }) => commands.includes('--demo'))
  assert.ok(step)
  await runStep(t, step, { cwd: await newFolder(t) })
})
