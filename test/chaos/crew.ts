import { setTimeout as delay } from 'node:timers/promises'
import { type Child, startChild } from '../../cli/child-process.ts'
import { programFile } from '../../cli/installation.ts'
import type { WorkerEnd } from './evidence.ts'

/** Where a worker listens, always, and what it has in its environment beside that. */
export interface Post {
  readonly port: number
  readonly environment: Readonly<Record<string, string>>
}

/** The worker processes. What is done to one waits for what is done to it already. */
export interface Crew extends AsyncDisposable {
  /** How those ended that were not killed. */
  readonly ends: readonly WorkerEnd[]
  /** SIGKILL, and a new one. */
  kill(worker: number): Promise<void>
  /** SIGTERM, and a new one when it has ended. */
  drain(worker: number): Promise<void>
  /** SIGSTOP, and SIGCONT so many milliseconds later: it goes on as if no time had passed. */
  stop(worker: number, ms: number): Promise<void>
  /** Ends all of them in order. */
  end(): Promise<void>
}

/** Much longer than a start takes on a busy machine. */
const START_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 50
/** Beyond what a worker gives itself, so that the difference is seen. */
const END_WITHIN_MS = 15_000

interface Place {
  child: Child
  /** Resolves when nothing is being done to it. */
  turn: Promise<void>
}

/** Starts a worker for each post, and waits until all answer. */
export async function startCrew(folder: string, posts: readonly Post[], signal: AbortSignal): Promise<Crew> {
  const ends: WorkerEnd[] = []
  /** Those that are told to end. */
  const expected = new WeakSet<Child>()

  function launch(worker: number, post: Post): Child {
    const environment = { ...post.environment, HOST: '127.0.0.1', PORT: String(post.port) }
    const log = `worker-${worker}.log`
    const file = programFile('worker')
    const child = startChild({ name: `worker ${worker}`, file, args: [], folder, environment, log, isHeard: false })
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
    await untilAnswering(post, place.child, signal)
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
    await Promise.all(posts.map((post, worker) => inTurn(worker, ({ child }) => untilAnswering(post, child, signal))))
  } catch (error) {
    await killAll()
    throw error
  }
  return {
    ends,
    kill: (worker) =>
      inTurn(worker, async (place, post) => {
        await kill(place)
        await replace(worker, place, post)
      }),
    drain: (worker) =>
      inTurn(worker, async (place, post) => {
        await endOne(worker, place)
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

async function untilAnswering({ port }: Post, { exited, logPath }: Child, signal: AbortSignal): Promise<void> {
  let hasEnded = false
  void exited.then(() => {
    hasEnded = true
  })
  const startedAt = performance.now()
  while (!(await fetch(`http://127.0.0.1:${port}/healthz`, { signal }).catch(() => undefined))?.ok) {
    signal.throwIfAborted()
    if (hasEnded || performance.now() - startedAt > START_WITHIN_MS) {
      throw new Error(`a worker did not start; ${logPath} may say why`)
    }
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}
