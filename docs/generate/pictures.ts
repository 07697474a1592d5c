// Makes the pictures of docs/images: npm run pictures. It needs `script` of util-linux, which gives the commands a terminal.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COLUMNS, drawScreens, type Screen } from './terminal-picture.ts'
import { screenAfter } from './terminal-screen.ts'

const MAIN = join(import.meta.dirname, '../../cli/main.ts')
const IMAGES = join(import.meta.dirname, '../images')
const STORE = 'sqlite:.promptbridge/dev.db'
const FILTERED = '[[trip the content filter]]'
const RUN = 'run notices/ --template summarize --model gpt-4.1-mini --batch notices --demo'

/** Erases the rest of a line. */
const ERASE = '\u001b[K'

const folder = mkdtempSync(join(tmpdir(), 'promptbridge-pictures-'))
const { PATH, HOME } = process.env
const IN_FOLDER = { cwd: folder, env: { PATH, HOME, STORE, TERM: 'xterm-256color', LANG: 'C.UTF-8' } }
try {
  await drawRun()
  await drawWatch()
} finally {
  rmSync(folder, { recursive: true, maxRetries: 3 })
}

async function drawRun(): Promise<void> {
  mkdirSync(join(folder, 'notices'))
  for (let n = 1; n <= 300; n += 1) {
    writeFileSync(
      join(folder, `notices/${n}.md`),
      `Bridge ${n} is closed on Monday. ${'Buses use the tunnel. '.repeat(n % 5)}`,
    )
  }
  save('run.svg', 'promptbridge run summarizes a folder of documents', await screensOf(RUN))
}

async function drawWatch(): Promise<void> {
  const dev = spawn(process.execPath, [MAIN, 'dev'], { ...IN_FOLDER, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let printed = ''
    for await (const text of dev.stdout.setEncoding('utf8')) {
      printed += text
      if (printed.includes('Ctrl-C ends it')) break
    }
    const jobs = Array.from({ length: 1_000 }, (_, n) => ({
      id: `notice-${n}`,
      model: 'gpt-4o-mini',
      prompt: `Summarize: Bridge ${n} is closed. ${n % 200 === 7 ? FILTERED : ''}`,
    }))
    writeFileSync(join(folder, 'notices.jsonl'), jobs.map((job) => JSON.stringify(job)).join('\n'))
    const submit = [MAIN, 'submit', 'notices.jsonl', '--batch', 'nightly']
    await once(spawn(process.execPath, submit, { ...IN_FOLDER, stdio: 'ignore' }), 'close')
    save(
      'batch-watch.svg',
      'promptbridge batch --watch shows how far a batch has come',
      await screensOf('batch nightly --watch'),
    )
  } finally {
    dev.kill('SIGINT')
    if (dev.exitCode === null) await once(dev, 'close')
  }
}

/** What a terminal shows when the command has done about half of its work, and at its end. */
async function screensOf(args: string): Promise<readonly Screen[]> {
  const started = `stty cols ${COLUMNS} rows 40; exec '${process.execPath}' '${MAIN}' ${args}`
  const options = ['--quiet', '--return', '--flush', '--command', started, '/dev/null']
  const terminal = spawn('script', options, { ...IN_FOLDER, stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(terminal, 'close')
  let [output, half] = ['', '']
  for await (const text of terminal.stdout.setEncoding('utf8')) {
    output += text
    // A line is drawn when its rest is erased; what follows may be cut off.
    const drawn = output.slice(0, output.lastIndexOf(ERASE) + ERASE.length)
    if (half === '' && /█{8}█*░+ .*$/.test(screenAfter(drawn).at(-1) ?? '')) half = drawn
  }
  const [code] = await closed
  if (code !== 0 || half === '') throw new Error(`no picture of ${args}: it ended with ${code} after ${output}`)
  const screen = (caption: string, shown: string) => ({
    ...{ caption, lines: [`$ npx promptbridge ${args}`, ...screenAfter(shown)] },
  })
  return [screen('while it works', half), screen('at the end', output)]
}

function save(name: string, title: string, screens: readonly Screen[]): void {
  writeFileSync(join(IMAGES, name), drawScreens(title, screens))
}
