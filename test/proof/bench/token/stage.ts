import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCallLog } from '../../../../local/call-log.ts'
import { type Cloud, startCloud } from '../../../support/stand-ins.ts'
import { type Child, startChild } from '../harness/child.ts'
import { type CrowdAnswer, crowdAnswer } from './questions.ts'

const CONTESTANT = join(import.meta.dirname, 'contestant.ts')

/** As long as Entra's tokens commonly are good. */
export const TOKEN_LIFE_MS = 3_600_000

/** Calls at the stand-ins. */
export interface Calls {
  /** For an ID token, at the metadata server. */
  readonly gets: number
  /** For an Azure token, at Entra. */
  readonly posts: number
  /** These and all others, as discovery. */
  readonly all: number
}

/** Google's and Microsoft's stand-ins, with a clock that all move together, and contestants that meet them. */
export interface Stage extends AsyncDisposable {
  readonly cloud: Cloud
  /** Starts a process that knows one way to a token. */
  start(way: string): Child
  /** Lets so many jobs at once ask for a token, so long after the real time. */
  crowd(child: Child, crowd: { jobs: number; aheadMs: number; isCold?: boolean }): Promise<CrowdAnswer & Calls>
  /** The calls since this was last asked. */
  takeCalls(): Promise<Calls>
}

export async function setStage(): Promise<Stage> {
  await using started = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  started.defer(() => rm(folder, { recursive: true }))
  const log = started.adopt(await openCallLog(), (own) => own.close())
  let cloudAheadMs = 0
  const dependencies = { now: () => Date.now() + cloudAheadMs }
  const entra = { caPath: join(folder, 'ca.pem'), tokenLifetimeSeconds: TOKEN_LIFE_MS / 1_000 }
  const cloud = started.use(await startCloud({ log, dependencies, entra }))
  const cleanups = started.move()

  let lastId = 0
  async function takeCalls(): Promise<Calls> {
    let [gets, posts, all] = [0, 0, 0]
    for (;;) {
      const calls = await log.read({ after: lastId })
      const last = calls.at(-1)
      if (last === undefined) return { gets, posts, all }
      lastId = last.id
      all += calls.length
      gets += calls.filter(({ operation }) => operation === 'identity').length
      posts += calls.filter(({ operation }) => operation === 'token').length
    }
  }

  return {
    cloud,
    takeCalls,
    start: (way) => cleanups.use(startChild(CONTESTANT, { args: [way], env: cloud.env })),
    async crowd(child, { jobs, aheadMs, isCold = false }) {
      cloudAheadMs = aheadMs
      await takeCalls()
      const seen = await child.ask({ kind: 'crowd', jobs, aheadMs, isCold }, crowdAnswer)
      return { ...seen, ...(await takeCalls()) }
    },
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}
