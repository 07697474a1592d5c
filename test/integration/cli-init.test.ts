import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { settings } from '../../shared/config/schema.ts'
import { withSettingsFile } from '../../shared/config/settings-file.ts'
import { runHosted } from '../support/run-hosted.ts'
import { newFolder } from './cli-harness.ts'

test('init: the file has every setting that a file may have, and only those for one machine are set', async (t) => {
  const cwd = await newFolder(t)
  assert.equal((await runHosted(['init'], { cwd })).code, 0)
  const path = join(cwd, 'promptbridge.env')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(withSettingsFile({}, path).environment, { TOKEN_SOURCE: 'azure-cli' })
  const text = await readFile(path, 'utf8')
  const [set, others] = [/^([A-Z_]+)=/gm, /^#([A-Z_]+)=/gm].map((line) =>
    [...text.matchAll(line)].map(([, name]) => name),
  )
  assert.deepEqual(set?.toSorted(), [
    'AZURE_OPENAI_DEPLOYMENT',
    'AZURE_OPENAI_ENDPOINT',
    'AZURE_TENANT_ID',
    'TOKEN_SOURCE',
  ])
  const absent = Object.keys(settings.shape).filter((name) => ![...(set ?? []), ...(others ?? [])].includes(name))
  assert.deepEqual(absent, ['ALLOW_CUSTOM_HOSTS', 'PUSH_CERTS_URL'])
})

test('init: each default in the file is accepted as a setting', async (t) => {
  const cwd = await newFolder(t)
  await runHosted(['init'], { cwd })
  const text = await readFile(join(cwd, 'promptbridge.env'), 'utf8')
  for (const [, name = '', value] of text.matchAll(/^#([A-Z_]+)=(.+)$/gm)) {
    assert.ok(settings.partial().safeParse({ [name]: value }).success, `${name}=${value}`)
  }
})

test('init: a file that exists is replaced only with --force', async (t) => {
  const cwd = await newFolder(t)
  await runHosted(['init'], { cwd })
  const again = await runHosted(['init'], { cwd })
  assert.partialDeepStrictEqual(again, {
    code: 2,
    stderr: 'promptbridge: promptbridge.env exists; --force replaces it\n',
  })
  assert.equal((await runHosted(['init', '--force'], { cwd })).code, 0)
})
