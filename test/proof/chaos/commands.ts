import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { startChild } from '../../../cli/child-process.ts'
import { programFile } from '../../../cli/installation.ts'

/** Runs a `promptbridge` command, again when it fails: what it works on fails as well. Resolves with what it printed. */
export type RunCommand = (args: readonly string[]) => Promise<unknown>

const MAX_TRIES = 5
const END_WITHIN_MS = 180_000
/** A job that cannot be cancelled any more is an answer too. */
const ANSWERED = [0, 1]

const json = z.string().transform((printed, context): unknown => {
  try {
    return JSON.parse(printed)
  } catch {
    context.addIssue('no JSON')
    return z.NEVER
  }
})

export function createCommands(
  folder: string,
  environment: Readonly<Record<string, string>>,
  signal: AbortSignal,
): RunCommand {
  async function run(args: readonly string[]): Promise<unknown> {
    const child = startChild({
      ...{ name: 'a command', file: programFile('cli'), args: [...args, '--json'], folder },
      ...{ environment, log: 'commands.log', isHeard: true },
    })
    const end = () => child.signal('SIGKILL')
    const late = setTimeout(end, END_WITHIN_MS)
    signal.addEventListener('abort', end, { once: true })
    try {
      if (child.stdout === null) return undefined
      const [printed, code] = await Promise.all([text(child.stdout), child.exited])
      const answer = json.safeParse(printed)
      return answer.success && ANSWERED.includes(code ?? -1) ? answer.data : undefined
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', end)
    }
  }

  return async (args) => {
    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted()
      const answer = await run(args)
      if (answer !== undefined) return answer
      if (tries === MAX_TRIES)
        throw new Error(`promptbridge ${args.join(' ')} failed ${tries} times; commands.log says why`)
    }
  }
}
