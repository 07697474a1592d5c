import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { z } from 'zod'
import { newFolder, until } from '../../integration/cli-harness.ts'

const MAIN = join(import.meta.dirname, './main.ts')

/** Runs it as the leader of a process group, with a folder of its own for what it leaves behind. */
async function startChaos(t: TestContext, ...args: readonly string[]) {
  const folder = await newFolder(t)
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH, HOME, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const group = -(child.pid ?? Number.NaN)
  const isLeft = () => {
    try {
      return process.kill(group, 0)
    } catch {
      return false
    }
  }
  t.after(() => {
    if (isLeft()) process.kill(group, 'SIGKILL')
  })
  const output = createInterface(child.stderr)
  const lines: string[] = []
  output.on('line', (line) => lines.push(line))
  const ended = Promise.all([once(child, 'close'), text(child.stdout)]).then(([[code, signal], stdout]) => ({
    code: z.number().nullable().parse(code),
    stdout,
    /** Its own reason, for a failure. */
    reason: `exit code ${code}, signal ${signal}\n${lines.join('\n')}\n${stdout}`,
  }))
  return { folder, ended, output, isLeft, interrupt: () => process.kill(group, 'SIGINT') }
}

describe('a chaos run', { concurrency: false }, () => {
  for (const args of [['--minutes', '0'], ['--seed', 'x'], ['--workers', '9'], ['--store', 'files'], ['--nonsense']]) {
    test(`does not take ${args.join(' ')}`, async (t) => {
      assert.equal((await (await startChaos(t, ...args)).ended).code, 2)
    })
  }

  test('prints its plan, which follows from its seed', async (t) => {
    const planOf = async (seed: string) =>
      (await (await startChaos(t, '--plan', '--store', 'sqlite', '--seed', seed)).ended).stdout
    const [plan, again, other] = [await planOf('7'), await planOf('7'), await planOf('8')]
    assert.match(plan, /worker: stop for \d+ ms, worker \d/)
    assert.equal(again, plan)
    assert.notEqual(other, plan)
  })

  test('leaves nothing behind when it is interrupted', async (t) => {
    const { folder, ended, output, isLeft, interrupt } = await startChaos(t, '--store', 'sqlite', '--minutes', '1')
    for await (const [line] of on(output, 'line', { close: ['close'] })) if (/workers take jobs/.test(line)) break
    interrupt()
    const { code, reason } = await ended
    assert.equal(code, 130, reason)
    await until(() => !isLeft(), 'a process of the group is left')
    assert.deepEqual(await readdir(folder), [])
  })

  test('breaks nothing that must hold', async (t) => {
    const { ended } = await startChaos(t, '--store', 'sqlite', '--minutes', '0.2', '--seed', '7', '--json')
    const { stdout, reason } = await ended
    assert.notEqual(stdout, '', `the run broke off without a report: ${reason}`)
    const report = z.object({
      breaches: z.array(z.unknown()),
      messages: z.number(),
      faults: z.array(z.object({ kind: z.string(), tookPlace: z.number() })),
    })
    // On a busy machine some fault finds no target. In a longer run that would be a shortfall.
    const { breaches, messages, faults } = report.parse(JSON.parse(stdout))
    assert.deepEqual(breaches, [], reason)
    assert.ok(messages > 0, reason)
    const did = new Set(faults.filter(({ tookPlace }) => tookPlace > 0).map(({ kind }) => kind))
    for (const kind of ['kill', 'drain', 'stop', 'outage']) assert.ok(did.has(`worker: ${kind}`), `${kind}: ${reason}`)
  })
})
