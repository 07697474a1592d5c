import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { styleText } from 'node:util'
import fc from 'fast-check'
import { type Output, print, printData, printStatus, printStyled } from '../../cli/print.ts'
import { printable } from '../../shared/lib/printable.ts'
import { createLog } from '../../worker/observe/log.ts'

const EVIL = '\u001b]0;pwned\u0007 \u009b2J \u202egnp.exe \r \u007f \u2028 \u{e0041}'
const ESCAPED = '\\u001b]0;pwned\\u0007 \\u009b2J \\u202egnp.exe \\u000d \\u007f \\u2028 \\udb40\\udc41'

/** Keeps what is printed to it. */
function anOutput(isTTY = false): Output & { text(): string } {
  const pieces: Buffer[] = []
  return {
    isTTY,
    write: (piece) => pieces.push(Buffer.from(piece)) > 0,
    text: () => Buffer.concat(pieces).toString(),
  }
}

/** Any character, and those that steer a terminal more often. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom(...EVIL, '\n', '\t', '"', '\\'),
  ),
})

describe('printable text', () => {
  test('has each character that could steer a terminal escaped', () => {
    assert.equal(printable(EVIL), ESCAPED)
  })

  test('keeps ends of lines, tabs, every script and every emoji', () => {
    const text =
      'Nacht № 7 – “größer”\n\t東京 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u{1f468}\u200d\u{1f469}'
    assert.equal(printable(text), text)
  })

  test('holds no control character but these, whatever it was made of', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const codes = Array.from(printable(text), (character) => character.codePointAt(0) ?? 0)
        assert.ok(codes.every((code) => code === 0x9 || code === 0xa || (code >= 0x20 && (code < 0x7f || code > 0x9f))))
      }),
    )
  })

  test('is the same JSON as before', () => {
    const anyValue = fc.jsonValue({ stringUnit: 'binary' })
    fc.assert(
      fc.property(fc.tuple(anyValue, anyText), (value) => {
        for (const indent of [undefined, 2]) {
          assert.deepEqual(
            JSON.parse(printable(JSON.stringify(value, undefined, indent))),
            JSON.parse(JSON.stringify(value)),
          )
        }
      }),
    )
  })
})

describe('what a command prints', () => {
  test('is printable, in JSON as well', () => {
    const out = anOutput()
    print(`${EVIL}\n`, out)
    print(`${JSON.stringify({ id: EVIL })}\n`, out)
    const [text, json = ''] = out.text().split('\n')
    assert.equal(text, ESCAPED)
    assert.deepEqual([JSON.parse(json), json.includes('\u202e')], [{ id: EVIL }, false])
  })

  test('has our styles where they are meant, and no other sequence', () => {
    const out = anOutput()
    const styled = styleText('bold', 'step', { validateStream: false })
    printStyled(`${styled} \u001b[8mhidden \u001b[2J\n`, out)
    assert.equal(out.text(), `${styled} \\u001b[8mhidden \\u001b[2J\n`)
  })

  test('draws over its last line on a terminal alone', () => {
    const [terminal, file] = [anOutput(true), anOutput()]
    for (const out of [terminal, file]) printStatus(`7 jobs ${EVIL}`, out)
    assert.deepEqual([terminal.text(), file.text()], [`\r7 jobs ${ESCAPED}\u001b[K`, ''])
  })

  test('is the data of a dead letter as they are, but on a terminal', () => {
    const [terminal, file] = [anOutput(true), anOutput()]
    for (const out of [terminal, file]) printData(Buffer.from(EVIL), out)
    assert.deepEqual([terminal.text(), file.text()], [`${ESCAPED}\n`, EVIL])
  })

  test('goes through one place', () => {
    const root = join(import.meta.dirname, '../..')
    const around = globSync('cli/**/*.ts', { cwd: root })
      .filter((file) => !['cli/print.ts', 'cli/progress-line.ts', 'cli/main.ts'].includes(file))
      .filter((file) => /\b(stdout|stderr|out)\.write\(|\bconsole\./.test(readFileSync(join(root, file), 'utf8')))
    assert.deepEqual(around, [])
  })
})

test('a log line is printable, and its reader reads what was logged', () => {
  const lines: string[] = []
  createLog('info', { write: (line) => void lines.push(line) }).warn({ jobId: EVIL, error: new Error(EVIL) }, EVIL)
  const [line = ''] = lines
  assert.equal(line.trimEnd(), printable(line).trimEnd())
  assert.doesNotMatch(line, /[\u0080-\u009f\u202e\u007f]/)
  const { jobId, message, error } = JSON.parse(line)
  assert.deepEqual([jobId, message, error.message], [EVIL, EVIL, EVIL])
})
