import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePort } from '../../cli/free-port.ts'
import { compileCache } from '../support/compile-cache.ts'
import { newFolder } from './cli-harness.ts'

const ROOT = join(import.meta.dirname, '../..')
const GUIDE = readFileSync(join(ROOT, 'docs/guides/events-on-a-laptop.md'), 'utf8')
/** The guide builds the client; here its source is imported. */
const RESOLVE = join(ROOT, 'test/support/resolve-client.mjs')
const BLOCK = /```sh\n([\s\S]*?)```/g

/** Runs a block of the guide in a folder. What is left of it after the test is killed. */
function runBlock(t: TestContext, block: string, cwd: string, port: number) {
  const command = block
    .replaceAll('npm run promptbridge --', `exec ${process.execPath} ${join(ROOT, 'cli/main.ts')}`)
    .replaceAll('node docs/', `exec ${process.execPath} --import ${RESOLVE} ${ROOT}/docs/`)
    .replaceAll('8081', String(port))
  const { PATH = '', HOME = '' } = process.env
  const env = { PATH, HOME, ...compileCache }
  const child = spawn('bash', ['-ec', command], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  t.after(() => end(child))
  let printed = ''
  const closed = once(child, 'close').then(([code]) => ({ code, printed }))
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      printed += text
    })
  }
  return {
    closed,
    async until(pattern: RegExp) {
      const ended = closed.then((found) => assert.fail(`ended before ${pattern}: ${found.printed}`))
      while (!pattern.test(printed)) await Promise.race([once(child.stdout, 'data'), ended])
    },
  }
}

function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGTERM')
}

test('the guide to events on a laptop: its commands bring the answer to the server', async (t) => {
  const [receive = '', dev = '', submit = ''] = [...GUIDE.matchAll(BLOCK)].map(([, block = '']) =>
    block.replaceAll(/^ +/gm, ''),
  )
  const cwd = await newFolder(t)
  const port = await freePort()
  const server = runBlock(t, receive, cwd, port)
  await server.until(/listening/)
  await runBlock(t, dev, cwd, port).until(/Ctrl-C ends it/)
  const submitted = await runBlock(t, submit, cwd, port).closed
  assert.equal(submitted.code, 0, submitted.printed)
  await server.until(/promptbridge\.job\.succeeded order-7/)
})
