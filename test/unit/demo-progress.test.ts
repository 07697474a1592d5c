import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProgress } from '../../cli/demo/progress.ts'
import type { Screen } from '../../cli/progress-line.ts'

function openScreen(terminal?: { columns: number }): Screen & { written(): string } {
  let written = ''
  return {
    ...(terminal === undefined ? {} : { isTTY: true, ...terminal }),
    write(text) {
      written += text
    },
    written: () => written,
  }
}

test('outside of a terminal there is a plain line for each tenth of the way', () => {
  const screen = openScreen()
  const progress = createProgress(screen, 20)
  for (let succeeded = 0; succeeded <= 20; succeeded++) progress.show({ succeeded })
  progress.end()
  const lines = screen.written().split('\n')
  assert.equal(lines.length, 12)
  assert.equal(lines[0], '  0/20 settled, 0 running, 0 waiting, 0 dead-lettered')
  assert.equal(lines[1], '  2/20 settled, 0 running, 0 waiting, 0 dead-lettered')
  assert.equal(lines[10], '  20/20 settled, 0 running, 0 waiting, 0 dead-lettered')
})

test('every status that ends a job counts as settled', () => {
  const screen = openScreen()
  const counts = { succeeded: 3, dead_lettered: 2, expired: 1, running: 4, waiting: 5 }
  createProgress(screen, 15).show(counts)
  assert.equal(screen.written(), '  6/15 settled, 4 running, 5 waiting, 2 dead-lettered\n')
})

test('on a terminal there is one bar, drawn over itself', () => {
  const screen = openScreen({ columns: 120 })
  const progress = createProgress(screen, 4)
  for (const succeeded of [0, 1, 4]) progress.show({ succeeded })
  progress.end()
  assert.deepEqual(screen.written().replaceAll('\x1b[K', '').split('\r').slice(1), [
    '  ░░░░░░░░░░░░░░░░ 0/4 settled, 0 running, 0 waiting, 0 dead-lettered',
    '  ████░░░░░░░░░░░░ 1/4 settled, 0 running, 0 waiting, 0 dead-lettered',
    '  ████████████████ 4/4 settled, 0 running, 0 waiting, 0 dead-lettered\n',
  ])
})

test('the bar of a thousand jobs fits a terminal of 80 columns, and is cut on a narrower one', () => {
  const counts = { succeeded: 980, dead_lettered: 2, running: 40, waiting: 12 }
  for (const [columns, end] of [
    [80, '2 dead-lettered'],
    [40, ''],
  ] as const) {
    const screen = openScreen({ columns })
    createProgress(screen, 1_038).show(counts)
    const [line = ''] = screen.written().slice(1).split('\x1b')
    assert.ok(line.length < columns)
    assert.ok(line.endsWith(end))
  }
})

test('a terminal without a known width counts as 80 columns', () => {
  const screen = openScreen({ columns: 0 })
  createProgress(screen, 4).show({ succeeded: 1 })
  assert.match(screen.written(), /1\/4 settled, 0 running/)
})
