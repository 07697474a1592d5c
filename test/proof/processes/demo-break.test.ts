import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { breaks } from '../../../cli/demo/breaks.ts'
import { newFolder, runCommand } from '../../integration/cli-harness.ts'

test('there are at least ten things to set wrong', () => {
  assert.ok(breaks.size >= 10)
})

// One whose jobs wait, one whose jobs cannot, one by which the worker does not start: the doctor's own tests have the rest.
for (const [what, accounts] of [
  ['subject', /0 lost, 0 dead-lettered, 4 waiting/],
  ['deployment', /0 lost, 0 dead-lettered, 4 waiting/],
  ['key', /0 lost, 0 dead-lettered, 4 waiting/],
] as const) {
  test(`--break ${what} loses no job, and the doctor finds it`, async (t) => {
    const folder = await newFolder(t)
    const { code, stdout, stderr } = await runCommand(t, [
      'demo',
      '--break',
      what,
      '--documents',
      '4',
      '--folder',
      folder,
    ])
    assert.deepEqual([code, stderr], [0, ''], stdout)
    assert.match(stdout, accounts)
    assert.match(stdout, breaks.get(what)?.fix ?? /^$/)
  })
}

test('--break leaves the state of a stopped demo alone', async (t) => {
  const folder = await newFolder(t)
  const state = join(folder, 'demo.db')
  await writeFile(state, '')
  await runCommand(t, ['demo', '--break', 'key', '--documents', '1', '--folder', folder])
  assert.ok(existsSync(state))
  assert.ok(existsSync(join(folder, 'broken', 'broken.db')))
})

for (const args of [['--break'], ['--break', 'everything']]) {
  test(`demo ${args.join(' ')} is misuse, and the error lists what there is to break`, async (t) => {
    const { code, stderr } = await runCommand(t, ['demo', ...args])
    assert.equal(code, 2)
    assert.equal(stderr, `error: --break takes one of: ${[...breaks.keys()].join(', ')}\n`)
  })
}
