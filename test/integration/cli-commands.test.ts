import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runCommand } from './cli-harness.ts'

const HELP = [
  [['--help'], /Usage: promptbridge \[options\] \[command\]/],
  [['help'], /demo \[options\] .*\n.*\n *show \[options\] <id>/],
  [['demo', '--help'], /Usage: promptbridge demo \[options\]\n.*--documents <n>.*--folder.*--results.*--json/s],
  [['help', 'show'], /Usage: promptbridge show \[options\] <id>\n.*--batch.*--store <sqlite:PATH>.*--json/s],
] as const

const MISUSES = [
  [[], /Usage: promptbridge/],
  [['bogus'], /unknown command 'bogus'/],
  [['demo', '--bogus'], /unknown option '--bogus'/],
  [['demo', '--documents', '0'], /argument '0' is invalid. It must be a whole number, 1 or more\./],
  [['demo', '--documents', '1.5'], /It must be a whole number/],
  [['demo', 'surplus'], /too many arguments/],
  [['show', '--store', 'sqlite:demo.db'], /missing required argument 'id'/],
  [['show', 'doc-7'], /required option '--store <sqlite:PATH>' not specified/],
  [['show', 'doc-7', '--store', 'demo.db'], /argument 'demo\.db' is invalid\. It must have the form sqlite:PATH\./],
] as const

describe('the command line', { concurrency: 3 }, () => {
  for (const [args, expected] of HELP) {
    test(`"promptbridge ${args.join(' ')}" prints help and succeeds`, async (t) => {
      const { code, stdout, stderr } = await runCommand(t, args)
      assert.match(stdout, expected)
      assert.partialDeepStrictEqual({ code, stderr }, { code: 0, stderr: '' })
    })
  }

  for (const [args, expected] of MISUSES) {
    test(`"promptbridge ${args.join(' ')}" is misuse: it says why and exits with 2`, async (t) => {
      const { code, stdout, stderr } = await runCommand(t, args)
      assert.match(stderr, expected)
      assert.partialDeepStrictEqual({ code, stdout }, { code: 2, stdout: '' })
    })
  }
})
