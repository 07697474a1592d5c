import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { bundleInto } from '../../../../deploy/bundle.ts'
import { openSqliteDocuments } from '../../../../shared/stores/sqlite/sqlite-documents.ts'
import { aSucceededRecord } from '../../../support/job-builders.ts'
import type { Bench } from '../harness/bench.ts'
import { runCommand, type Took } from './run-measured.ts'
import { sampleOf } from './submit-bench.ts'

const OURS = 'promptbridge results'
const TENTH = 'a tenth of the jobs'
const PEAK = 'peak MiB'
/** So often the small batch is written, so that both are as many jobs. */
const TIMES = 10
/** The answer has about 500 bytes. */
const ANSWER = JSON.stringify({ choices: [{ message: { content: 'Bridges carry people over water. '.repeat(14) } }] })

export const bench: Bench = {
  title: 'Writing the results of a batch in a SQLite file: memory, and time for each job of a large and a small batch',
  rounds: 3,
  jobsPerRound: 200_000,
  bars: [
    // 150 MB.
    { contestant: OURS, metric: PEAK, is: 'at most', value: 143 },
    // Linear in the number of jobs. The start of the process counts for the small batch.
    { contestant: OURS, metric: 'ms/1,000 jobs', is: 'at most', value: 1.2, timesThatOf: TENTH },
  ],
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'bench-results-'))
    const files = new Map<number, string>()
    await bundleInto(join(folder, 'dist'))
    async function fileOf(jobs: number): Promise<string> {
      const known = files.get(jobs) ?? (await fill(join(folder, `${jobs}.db`), jobs))
      files.set(jobs, known)
      return known
    }
    async function measure(jobs: number) {
      const output = join(folder, 'output')
      const args = ['results', 'nightly', '--partial', '--quiet', '--store', `sqlite:${await fileOf(jobs)}`]
      const took = await runCommand(join(folder, 'dist'), args, output)
      const lines = (await readFile(output, 'latin1')).split('\n').length - 1
      if (lines !== jobs) throw new Error(`${lines} of ${jobs} results are written`)
      return took
    }
    async function measureTenths(jobs: number): Promise<Took> {
      const some: Took[] = []
      for (let n = 0; n < TIMES; n += 1) some.push(await measure(jobs / TIMES))
      const sum = (name: 'wallMs' | 'cpuMs') => some.reduce((total, took) => total + took[name], 0)
      const peakMiB = Math.max(...some.map((took) => took.peakMiB))
      return { code: 0, wallMs: sum('wallMs'), cpuMs: sum('cpuMs'), peakMiB }
    }
    return {
      contestants: [
        { name: OURS, run: async (jobs) => sampleOf(await measure(jobs), jobs) },
        { name: TENTH, run: async (jobs) => sampleOf(await measureTenths(jobs), jobs) },
      ],
      [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
    }
  },
}

async function fill(path: string, jobs: number): Promise<string> {
  const documents = await openSqliteDocuments(path, Date.now)
  documents.close()
  const db = new DatabaseSync(path)
  const insert = db.prepare(
    `INSERT INTO promptJobs (key, batch, status, revision, updatedAt, record) VALUES (?, 'nightly', 'succeeded', 1, 0, ?)`,
  )
  db.exec('BEGIN')
  for (let n = 0; n < jobs; n += 1) {
    const record = { ...aSucceededRecord, key: `key-${n}`, id: `doc-${n}`, result: { in: 'record', text: ANSWER } }
    insert.run(record.key, JSON.stringify(record))
  }
  db.exec('COMMIT')
  db.close()
  return path
}
