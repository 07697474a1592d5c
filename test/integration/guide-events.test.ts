import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { guideSteps, runStep, startStep } from '../support/guide.ts'
import { newFolder } from './cli-harness.ts'

test('the guide to events on a laptop: its commands bring the answer to the server', async (t) => {
  const port = await freePort()
  const [receive, dev, submit] = guideSteps('docs/guides/events-on-a-laptop.md').map(({ commands, printed }) => ({
    ...{ commands: commands.replaceAll('8081', String(port)), printed },
  }))
  assert.ok(receive && dev && submit)
  const cwd = await newFolder(t)
  const server = startStep(t, receive, { cwd })
  await server.until(/listening/)
  await startStep(t, dev, { cwd }).until(/Ctrl-C ends it/)
  await runStep(t, submit, { cwd })
  await server.until(/promptbridge\.job\.succeeded order-7/)
})
