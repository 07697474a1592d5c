import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { before, test } from 'node:test'
import { runHosted } from '../support/run-hosted.ts'

let script = ''
before(async () => {
  script = (await runHosted(['completion', 'bash'])).stdout
})

/** What bash offers for the last of these words. */
function complete(...words: readonly string[]): string[] {
  const call = `COMP_WORDS=(promptbridge "$@"); COMP_CWORD=$#; _promptbridge; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', `${script}\n${call}`, 'bash', ...words], { encoding: 'utf8' })
  assert.equal(stderr, '')
  return stdout.trim().split('\n')
}

const CASES = [
  [['cance'], ['cancel']],
  [
    ['token', ''],
    ['inspect', 'failures', '--help'],
  ],
  [
    ['token', 'failures', '--s'],
    ['--since', '--store'],
  ],
  [['cancel', 'doc-7', '--ba'], ['--batch']],
  [['cancel', '--batch', 'nightly', '--pro'], ['--project']],
  [['no-such-command', 'canc'], ['cancel']],
] as const

for (const [words, expected] of CASES) {
  test(`completion: bash completes "promptbridge ${words.join(' ')}"`, () =>
    assert.deepEqual(complete(...words), expected))
}

test('completion: zsh loads the completion of bash first', async () => {
  const { stdout } = await runHosted(['completion', 'zsh'])
  assert.equal(stdout, `autoload -U +X bashcompinit && bashcompinit\n${script}`)
})

test('completion: another shell is misuse', async () => {
  const { code, stderr } = await runHosted(['completion', 'fish'])
  assert.equal(code, 2)
  assert.match(stderr, /Allowed choices are bash, zsh/)
})
