import { join } from 'node:path'
import { z } from 'zod'
import type { Contestant, Sample } from '../harness/bench.ts'
import { buildBaseline, buildWorker } from '../harness/build.ts'
import { startChild } from '../harness/child.ts'
import { openIdentities } from '../overhead/stage.ts'
import { type ServerProcess, startServer } from '../overhead/start-server.ts'

const EXPRESS = join(import.meta.dirname, '../baselines/express-worker.ts')

type Environment = Readonly<Record<string, string>>
type Used = Awaited<ReturnType<ServerProcess['usage']>>
/** Makes the values of a sample of what the load reports, and of what the process used. */
export type ValuesOf = (answer: z.infer<typeof loadAnswer>, used: Used) => Sample['values']

/** Workers as they are deployed, with a model and a load in one further process. */
export interface WorkerStage extends AsyncDisposable {
  readonly folder: string
  express(name: string, valuesOf: ValuesOf): Promise<Contestant>
  ours(name: string, env: Environment, valuesOf: ValuesOf): Promise<Contestant>
}

const loadAnswer = z.object({ done: z.int(), wallMs: z.number(), p50: z.number(), p99: z.number() })

/** `paced`: how pushes come, and how long the model takes. Else all come at once, and are answered when all were asked. */
export async function setStage({
  paced,
}: {
  readonly paced?: { readonly perSecond: number; readonly modelMs: number }
}): Promise<WorkerStage> {
  await using started = new AsyncDisposableStack()
  const { folder, authorization, env, pushSettings } = started.use(await openIdentities())
  const load = started.use(startChild(join(import.meta.dirname, 'model-and-load.ts')))
  const { port } = await load.ask({ kind: 'open' }, z.object({ port: z.number() }))

  async function contestant(name: string, module: string, more: Environment, valuesOf: ValuesOf): Promise<Contestant> {
    const server = cleanups.use(await startServer(module, { env: { ...env(port), ...more }, cwd: folder }))
    return {
      name,
      async run(jobs, round) {
        const pushes = { kind: 'push', url: server.url, authorization, jobs, round: `${name} ${round}`, paced }
        const answer = await load.ask(pushes, loadAnswer)
        return { jobs: answer.done, values: valuesOf(answer, await server.usage()) }
      },
    }
  }
  const cleanups = started.move()
  return {
    folder,
    express: async (name, valuesOf) => contestant(name, await buildBaseline(EXPRESS, folder), {}, valuesOf),
    ours: async (name, more, valuesOf) =>
      contestant(name, await buildWorker(folder), { ...pushSettings, ...more }, valuesOf),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}
