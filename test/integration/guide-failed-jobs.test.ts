import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { CONTENT_FILTER_MARKER } from '../../local/azure-openai/answer-call.ts'
import { guideSteps, runStep, startStep } from '../support/guide.ts'
import { runHosted } from '../support/run-hosted.ts'
import { newFolder, until } from './cli-harness.ts'

test('the guide to failed jobs: its commands find the cause, correct two jobs and print their answers', async (t) => {
  const cwd = await newFolder(t)
  const [dev, submit, wait, list, show, edit, replay, ...rest] = guideSteps('docs/guides/failed-jobs.md')
  assert.ok(dev && submit && wait && list && show && edit && replay)
  // The guide exports STORE once, and a person deletes the words in an editor.
  const EDITOR = `sed -i 's/ ${CONTENT_FILTER_MARKER.replaceAll(/[[\]]/g, '\\$&')}//'`
  const options = { cwd, env: { STORE: 'sqlite:.promptbridge/dev.db', EDITOR } }
  await startStep(t, dev, options).until(/Ctrl-C ends it/)
  await runStep(t, submit, options)
  await runStep(t, wait, { ...options, code: 5 })
  for (const step of [list, show, edit, replay]) await runStep(t, step, options)
  const args = ['batch', 'notices', '--json', '--store', `sqlite:${join(cwd, '.promptbridge/dev.db')}`]
  await until(async () => /"succeeded":3/.test((await runHosted(args)).stdout), 'a replayed job has no answer')
  for (const step of rest) await runStep(t, step, options)
})
