import { createInterface } from 'node:readline'
import { z } from 'zod'
import { type ChildOptions, startChild } from '../harness/child.ts'
import { REPORT_USAGE } from './report-usage.ts'

/** A server in a process of its own. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  /** What the process has used since it began, and what it holds now. */
  usage(): Promise<Usage>
  /** The same after garbage collections, so that the heap is what is left. */
  usageWithoutGarbage(): Promise<Usage>
}

const START_TIMEOUT_MS = 30_000

const usage = z.object({ cpuMs: z.number(), peakMiB: z.number(), heapMiB: z.number(), rssMiB: z.number() })
type Usage = z.infer<typeof usage>
const listening = z.object({ address: z.object({ port: z.number() }) })

/** Starts a module that prints a line of JSON with its address when it listens, as the worker's log does. */
export async function startServer(module: string, options: ChildOptions): Promise<ServerProcess> {
  await using started = new AsyncDisposableStack()
  const child = started.use(startChild(module, { ...options, imports: [REPORT_USAGE], readsOutput: true }))
  const { port } = await readAddress(child.output)
  // What else it logs has to be taken from the pipe, or it would pile up in the process.
  child.output?.resume()
  const cleanups = started.move()
  return {
    url: `http://127.0.0.1:${port}`,
    usage: () => child.ask({ heap: false }, usage),
    usageWithoutGarbage: () => child.ask({ heap: true }, usage),
    [Symbol.asyncDispose]: () => cleanups.disposeAsync(),
  }
}

async function readAddress(output: NodeJS.ReadableStream | null): Promise<{ port: number }> {
  if (output === null) throw new Error('the output of a server is read')
  const lines = createInterface({ input: output, signal: AbortSignal.timeout(START_TIMEOUT_MS) })
  try {
    for await (const line of lines) {
      const { data } = listening.safeParse(JSON.parse(line))
      if (data !== undefined) return data.address
    }
  } finally {
    // Or its signal would close it later, and pause the pipe.
    lines.close()
  }
  throw new Error('a server ended, or took half a minute, before it said where it listens')
}
