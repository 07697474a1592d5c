import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Child, startChild } from '../../../cli/child-process.ts'
import { programFile } from '../../../cli/installation.ts'
import type { WorkerEnd } from './evidence.ts'

/** Where a worker listens, always, and what it has in its environment beside that. */
export interface Post {
  readonly port: number
  readonly environment: Readonly<Record<string, string>>
  /** Whether it is the last release until it is upgraded. */
  readonly isLastRelease: boolean
}

/** The worker processes. What is done to one waits for what is done to it already. */
export interface Crew extends AsyncDisposable {
  /** How those ended that were not killed. */
  readonly ends: readonly WorkerEnd[]
  /** SIGKILL, and a new one. */
  kill(worker: number): Promise<void>
  /** SIGKILL to all of them, and new ones after so many milliseconds. */
  outage(ms: number): Promise<void>
  /** SIGTERM, and a new one when it has ended. */
  drain(worker: number): Promise<void>
  /** SIGTERM to a worker of the last release, and from now on this version in its place. */
  upgrade(worker: number): Promise<void>
  /** SIGSTOP, and SIGCONT so many milliseconds later: it goes on as if no time had passed. */
  stop(worker: number, ms: number): Promise<void>
  /** Ends all of them in order. */
  end(): Promise<void>
}

/** Much longer than a start takes on a busy machine. */
const START_WITHIN_MS = 180_000
const LOOK_EVERY_MS = 50
/** Beyond what a worker gives itself, so that the difference is seen. */
const END_WITHIN_MS = 60_000

const LAST_RELEASE = join(import.meta.dirname, '../../fixtures/last-release-worker.mjs')

interface Place {
  child: Child
  /** Resolves when nothing is being done to it. */
  turn: Promise<void>
}

/** Starts a worker for each post, and waits until all answer. */
export async function startCrew(folder: string, posts: readonly Post[], signal: AbortSignal): Promise<Crew> {
  const ends: WorkerEnd[] = []
  /** Those that shut down, or have not answered yet: one that cannot start is started again, as Cloud Run does. */
  const expected = new WeakSet<Child>()
  const older = new Set([...posts.keys()].filter((worker) => posts[worker]?.isLastRelease))

  function launch(worker: number, post: Post): Child {
    const environment = { ...post.environment, HOST: '127.0.0.1', PORT: String(post.port) }
    const log = `worker-${worker}.log`
    const file = older.has(worker) ? LAST_RELEASE : programFile('worker')
    const child = startChild({ name: `worker ${worker}`, file, args: [], folder, environment, log, isHeard: false })
    expected.add(child)
    // A Ctrl-C reaches them as well.
    void child.exited.then((code) => {
      if (!expected.has(child) && !signal.aborted) ends.push({ worker, wasAsked: false, code, tookMs: 0 })
    })
    return child
  }

  const places: Place[] = posts.map((post, worker) => ({ child: launch(worker, post), turn: Promise.resolve() }))

  function kill({ child }: Place): Promise<unknown> {
    expected.add(child)
    return child.kill()
  }

  function killFor(worker: number, ms: number): Promise<void> {
    return inTurn(worker, async (place, post) => {
      await kill(place)
      await delay(ms, undefined, { signal })
      await replace(worker, place, post)
    })
  }

  const killAll = async () => {
    await Promise.all(places.map(kill))
  }

  function inTurn(worker: number, work: (place: Place, post: Post) => Promise<void>): Promise<void> {
    const [place, post] = [places[worker], posts[worker]]
    if (place === undefined || post === undefined) throw new Error(`there is no worker ${worker}`)
    place.turn = place.turn.then(() => (signal.aborted ? undefined : work(place, post)))
    return place.turn
  }

  async function replace(worker: number, place: Place, post: Post): Promise<void> {
    place.child = launch(worker, post)
    await untilStarted(worker, place, post)
  }

  async function untilStarted(worker: number, place: Place, post: Post): Promise<void> {
    const until = performance.now() + START_WITHIN_MS
    while (!(await isAnswering(post, place.child, until, signal))) {
      if (performance.now() > until)
        throw new Error(`worker ${worker} did not start; ${place.child.logPath} may say why`)
      place.child = launch(worker, post)
    }
    expected.delete(place.child)
  }

  async function endOne(worker: number, place: Place): Promise<void> {
    expected.add(place.child)
    const askedAt = performance.now()
    const late = setTimeout(() => place.child.signal('SIGKILL'), END_WITHIN_MS)
    const code = await place.child.stop()
    clearTimeout(late)
    ends.push({ worker, wasAsked: true, code, tookMs: Math.round(performance.now() - askedAt) })
  }

  try {
    await Promise.all(posts.map((post, worker) => inTurn(worker, (place) => untilStarted(worker, place, post))))
  } catch (error) {
    await killAll()
    throw error
  }
  return {
    ends,
    kill: (worker) => killFor(worker, 0),
    async outage(ms) {
      await Promise.all(posts.map((_, worker) => killFor(worker, ms)))
    },
    drain: (worker) =>
      inTurn(worker, async (place, post) => {
        await endOne(worker, place)
        await replace(worker, place, post)
      }),
    upgrade: (worker) =>
      inTurn(worker, async (place, post) => {
        await endOne(worker, place)
        older.delete(worker)
        await replace(worker, place, post)
      }),
    stop: (worker, ms) =>
      inTurn(worker, async ({ child }) => {
        child.signal('SIGSTOP')
        try {
          await delay(ms, undefined, { signal })
        } finally {
          child.signal('SIGCONT')
        }
      }),
    async end() {
      await Promise.all(places.map((_, worker) => inTurn(worker, (place) => endOne(worker, place))))
    },
    [Symbol.asyncDispose]: killAll,
  }
}

/** Resolves with false when it has ended, or when its time is over. */
async function isAnswering({ port }: Post, child: Child, until: number, signal: AbortSignal): Promise<boolean> {
  let hasEnded = false
  void child.exited.then(() => {
    hasEnded = true
  })
  while (!hasEnded && performance.now() < until) {
    if ((await fetch(`http://127.0.0.1:${port}/healthz`, { signal }).catch(() => undefined))?.ok) return true
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
  return false
}
