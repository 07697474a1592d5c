import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeBriefly, describeProgress } from '../../cli/batches/describe-progress.ts'
import { describeRun } from '../../cli/run/run-command.ts'
import { drawScreens, linesIn } from '../../docs/generate/terminal-picture.ts'
import { screenAfter } from '../../docs/generate/terminal-screen.ts'
import type { BatchProgress } from '../../shared/stores/batch-progress.ts'

const IMAGES = join(import.meta.dirname, '../../docs/images')

/** The words of a line, without its figures and its bar. */
const words = (line: string) =>
  line
    .replaceAll(/[█░]+/g, '')
    .replaceAll(/\d[\d,.]*/g, 'N')
    .trim()

/** Each line of `shown` stands in the picture, with whatever figures. */
function assertShows(picture: string, shown: string): void {
  const found = new Set(linesIn(readFileSync(join(IMAGES, picture), 'utf8')).map(words))
  const missing = shown
    .trimEnd()
    .split('\n')
    .map(words)
    .filter((line) => !found.has(line))
  assert.deepEqual(missing, [], `npm run pictures makes ${picture} again`)
}

const settled: BatchProgress = {
  ...{ name: 'nightly', state: 'complete', isCancelled: false, total: 9, settled: 9, notStarted: 0 },
  ...{ counts: { succeeded: 8, dead_lettered: 1 }, failures: { rejected: 1 } },
  tokens: { promptTokens: 9, completionTokens: 9 },
}
const pace = { rate: 9, leftMs: 9_000 }

test('docs/images/batch-watch.svg shows what `batch --watch` prints today', () => {
  const observed = { progress: settled, ...pace }
  assertShows('batch-watch.svg', describeBriefly(observed))
  assertShows('batch-watch.svg', describeProgress(observed, { usd: 0.0019, asOf: '2026-08-21', fromJobs: 200 }))
})

test('docs/images/run.svg shows what `run` prints today', () => {
  const progress = { ...settled, name: 'notices', counts: { succeeded: 9 }, failures: {} }
  assertShows('run.svg', describeBriefly({ progress, ...pace }))
  const ended = { progress, output: 'notices-results.jsonl', store: undefined, cost: undefined, code: 0 }
  assertShows('run.svg', describeRun(ended))
})

test('screen: a line is drawn again from its start, and the rest of it is erased', () => {
  assert.deepEqual(screenAfter('\r  ██░░ 10 of 20\x1b[K\r  ████ 20\x1b[K\r\ndone\n'), ['  ████ 20', 'done', ''])
  assert.deepEqual(screenAfter('abc\rX'), ['Xbc'])
})

test('screen: an escape code that it does not know is an error, and no wrong picture', () => {
  assert.throws(() => screenAfter('a\x1b[2Jb'), /cannot show "\\u001b\[2J"/)
  assert.throws(() => screenAfter('a\tb'), /cannot show/)
})

test('picture: its text is read back as it was drawn', () => {
  const svg = drawScreens('a & b', [{ caption: 'now', lines: ['$ run <x> && y', '  ██░░ 1', '', ''] }])
  assert.deepEqual(linesIn(svg), ['# now', '$ run <x> && y', '  ██░░ 1'])
})
