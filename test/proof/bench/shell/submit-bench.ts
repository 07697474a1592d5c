import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { bundleInto } from '../../../../deploy/bundle.ts'
import type { Bench, Sample } from '../harness/bench.ts'
import { runCommand, runMeasured, type Took } from './run-measured.ts'

const OURS = 'promptbridge submit'
const BARE = 'bare insert'
const MS = 'ms/1,000 jobs'
export const CPU = 'CPU ms/1,000 jobs'
const PEAK = 'peak MiB'
const BARE_MODULE = join(import.meta.dirname, 'bare-insert.ts')

export const bench: Bench = {
  title: 'Submitting a file to the queue of a SQLite file: every line is checked before the first is sent',
  rounds: 5,
  jobsPerRound: 200_000,
  bars: [
    // 12,000 jobs a second.
    { contestant: OURS, metric: MS, is: 'at most', value: 83.3 },
    { contestant: OURS, metric: PEAK, is: 'at most', value: 150 },
  ],
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'bench-submit-'))
    const [input, output] = [join(folder, 'jobs.jsonl'), join(folder, 'output')]
    await bundleInto(join(folder, 'dist'))
    let lines = 0
    async function prepare(jobs: number): Promise<string> {
      if (lines !== jobs) await pipeline(Readable.from(linesOf(jobs)), createWriteStream(input))
      lines = jobs
      return input
    }
    async function measure(jobs: number, send: (file: string, db: string) => Promise<Took>) {
      const file = await prepare(jobs)
      const db = join(folder, `${crypto.randomUUID()}.db`)
      const took = await send(file, db)
      const published = messagesIn(db)
      await Promise.all(['', '-wal', '-shm'].map((suffix) => rm(db + suffix, { force: true })))
      if (published !== jobs) throw new Error(`${published} of ${jobs} messages are in the queue`)
      return sampleOf(took, jobs)
    }
    const ours = (file: string, db: string) => {
      const args = ['submit', file, '--batch', 'b', '--store', `sqlite:${db}`, '--quiet']
      return runCommand(join(folder, 'dist'), args, output)
    }
    const bare = (file: string, db: string) => runMeasured(BARE_MODULE, [file, db], output)
    return {
      contestants: [
        { name: OURS, run: (jobs) => measure(jobs, ours) },
        { name: BARE, run: (jobs) => measure(jobs, bare) },
      ],
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    }
  },
}

export function sampleOf({ wallMs, cpuMs, peakMiB }: Took, jobs: number): Sample {
  const per = (ms: number) => (ms * 1_000) / jobs
  return { jobs, values: { [MS]: per(wallMs), [CPU]: per(cpuMs), [PEAK]: peakMiB } }
}

/** About 300 bytes each. */
export function* linesOf(jobs: number): Generator<string> {
  const content = 'Summarise: Bridges carry people and goods over water. '.repeat(3)
  for (let n = 0; n < jobs; n += 1) {
    const body = { model: 'gpt-4o-mini', max_tokens: 100, messages: [{ role: 'user', content: `${content}${n}` }] }
    yield `${JSON.stringify({ custom_id: `doc-${n}`, method: 'POST', url: '/v1/chat/completions', body })}\n`
  }
}

function messagesIn(path: string): number {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return Number(db.prepare('SELECT COUNT(*) AS n FROM messages').get()?.['n'])
  } finally {
    db.close()
  }
}
