import { test } from 'node:test'
import { guideSteps, runStep } from '../support/guide.ts'
import { newFolder } from './cli-harness.ts'

test('the guide to documents: its commands run one after another, and print what it says', async (t) => {
  const cwd = await newFolder(t)
  for (const step of guideSteps('docs/guides/documents.md')) await runStep(t, step, { cwd })
})
