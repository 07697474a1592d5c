import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { openStores } from '../../shared/stores/open.ts'
import { runHosted } from '../support/run-hosted.ts'
import { newFolder, runCommand } from './cli-harness.ts'

const HELP = [
  [['--version'], /^\d+\.\d+\.\d+\n$/],
  [['--help'], /Usage: promptbridge \[options\] \[command\]/],
  [['help'], /^ {2}submit .*^ {2}results .*^ {2}show .*^ {2}dead-letters .*^ {2}token .*^ {2}doctor .*^ {2}demo /ms],
  [['demo', '--help'], /Usage: promptbridge demo \[options\]\n.*--documents <n>.*--folder.*--results.*--json/s],
  [['help', 'show'], /Usage: promptbridge show \[options\] <id>\n.*--batch.*--store <store>.*--project.*--json/s],
  [
    ['help', 'submit'],
    /Usage: promptbridge submit \[options\] <input...>\n.*--batch.*--topic.*--store <store>.*--json/s,
  ],
  [['help', 'results'], /Usage: promptbridge results \[options\] <batch>\n.*--output.*--store <store>/s],
  [['token', '--help'], /Usage: promptbridge token \[options\] \[command\]\n.*failures \[options\]/s],
  [['token', 'failures', '--help'], /failures \[options\]\n.*--since.*24h\).*--limit.*--store.*--project.*--json/s],
] as const

const MISUSES = [
  [[], /Usage: promptbridge/],
  [['bogus'], /unknown command 'bogus'/],
  [['demo', '--bogus'], /unknown option '--bogus'/],
  [['demo', '--documents', '0'], /argument '0' is invalid. It must be a whole number, 1 or more\./],
  [['demo', '--documents', '1.5'], /It must be a whole number/],
  [['demo', 'surplus'], /too many arguments/],
  [['show', '--store', 'sqlite:demo.db'], /missing required argument 'id'/],
  [['show', 'doc-7'], /GOOGLE_CLOUD_PROJECT is missing/],
  [['show', 'doc-7', '--store', 'demo.db'], /- --store: must be firestore or sqlite:PATH/],
  [['submit'], /missing required argument 'input'/],
  [
    ['submit', 'jobs.jsonl', '--store', 'sqlite:demo.db', '--deadline', 'soon'],
    /It must be a duration such as 24h, or a time/,
  ],
  [['submit', 'nowhere.jsonl', '--store', 'sqlite:demo.db'], /^promptbridge: there is no file nowhere\.jsonl$/m],
  [['results'], /missing required argument 'batch'/],
  [['cancel'], /^error: name a job by its id, or a whole batch with --batch$/m],
  [['cancel', '--batch', ''], /^error: name a job by its id, or a whole batch with --batch$/m],
  [['dead-letters', 'replay', '--reason', 'budget', '--token-limit', '5'], /^error: --token-limit needs --batch$/m],
  [['doctor', '--service', 'worker'], /^error: --service and --region go together$/m],
  [['doctor', '--region', 'r'], /^error: --service and --region go together$/m],
  [['doctor', '--service-account', 'me@example.com'], /--service-account must be the e-mail of a service account/],
  [['doctor', '--nonsense'], /unknown option '--nonsense'/],
  [['token', 'inspect'], /AZURE_TENANT_ID is missing/],
  [['token'], /Usage: promptbridge token/],
  [['run', 'jobs.jsonl', '--demo', '--json', '--output', '-'], /--json and --output - both print to standard output/],
  [['run', 'jobs.jsonl', '--demo', '--output', './jobs.jsonl'], /--output would replace the input/],
  [['results', 'nightly', '--errors', '-'], /--errors must name a file, because the results use standard output/],
  [['results', 'nightly', '--output', 'a', '--errors', './a'], /--output and --errors name the same file/],
  [['results', 'nightly', '--output', '-', '--output-dir', 'answers'], /'--output-dir <folder>' cannot be used with/],
  [['dead-letters', 'show', 'doc-7', '--data', '--json'], /'--data' cannot be used with option '--json'/],
  [['demo', '--results', '-'], /--results must name a file, because the accounts use standard output/],
  [['demo', '--break', 'subject', '--json'], /'--break \[what\]' cannot be used with option '--json'/],
  [['token', 'bogus'], /unknown command 'bogus'/],
  [['token', 'failures'], /GOOGLE_CLOUD_PROJECT is missing/],
  [['token', 'failures', 'surplus'], /too many arguments/],
  [['token', 'failures', '--since', '24'], /argument '24' is invalid. It must be seconds, minutes, hours or days/],
  [['token', 'failures', '--limit', '0'], /argument '0' is invalid. It must be a whole number, 1 or more\./],
] as const

const NO_EMULATORS = { firestore: undefined, pubsub: undefined }

describe('the command line', () => {
  for (const [args, expected] of HELP) {
    test(`"promptbridge ${args.join(' ')}" prints help and succeeds`, async () => {
      const { code, stdout, stderr } = await runHosted(args)
      assert.match(stdout, expected)
      assert.partialDeepStrictEqual({ code, stderr }, { code: 0, stderr: '' })
    })
  }

  for (const [args, expected] of MISUSES) {
    test(`"promptbridge ${args.join(' ')}" is misuse: it says why and exits with 2`, async () => {
      const { code, stdout, stderr } = await runHosted(args)
      assert.match(stderr, expected)
      assert.partialDeepStrictEqual({ code, stdout }, { code: 2, stdout: '' })
    })
  }
})

/** Each has tests of its own, which share a process. */
const ALONE = [
  [['--help'], 0],
  [['bogus'], 2],
  [['show', 'doc-7'], 1],
  [['results', 'nightly'], 1],
  [['dead-letters', 'list'], 0],
  [['cancel', 'doc-7'], 1],
  [['cancel', 'doc-7', '--force'], 0],
  [['token', 'failures'], 0],
] as const

describe('a command in a process of its own ends with it', () => {
  for (const [args, expected] of ALONE) {
    test(args.join(' '), async (t) => {
      const path = join(await newFolder(t), 'state.db')
      const stores = await openStores({ kind: 'sqlite', path }, { now: Date.now, emulators: NO_EMULATORS })
      await stores.close()
      const store = expected === 2 || args[0] === '--help' ? [] : ['--store', `sqlite:${path}`]
      const { code, stderr } = await runCommand(t, [...args, ...store])
      assert.equal(code, expected, stderr)
    })
  }
})

describe('a command without --store and STORE', () => {
  test('uses the database of "run" if it is here, and names it on standard error', async (t) => {
    const cwd = await newFolder(t)
    await mkdir(join(cwd, '.promptbridge'))
    const file = '.promptbridge/promptbridge.db'
    const stores = await openStores(
      { kind: 'sqlite', path: join(cwd, file) },
      { now: Date.now, emulators: NO_EMULATORS },
    )
    await stores.close()
    const found = await runHosted(['token', 'failures'], { cwd })
    assert.deepEqual(found, {
      code: 0,
      stdout: 'no token failures in the last 24h\n',
      stderr: `store: sqlite:${file}\n`,
    })
    const quiet = await runHosted(['token', 'failures', '--quiet'], { cwd })
    assert.deepEqual(quiet, { ...found, stderr: '' })
    const other = await runHosted(['token', 'failures'], { cwd, env: { STORE: 'sqlite:other.db' } })
    assert.match(other.stderr, /there is no file other\.db/)
  })
})
