import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'
import { type BinaryKind, MAX_TEXT } from './reader/read-document.ts'
import { ReadError } from './reader/read-error.ts'

/** Takes the text out of documents, in a process of its own. */
export interface DocumentReader extends AsyncDisposable {
  /** One call at a time. Rejects with ReadError. */
  read(path: string, kind: BinaryKind): Promise<string>
}

export interface DocumentReaderOptions {
  /** The file of the reader's program. */
  readonly program: string
  /** The most time for one document. */
  readonly timeoutMs: number
}

const HEAP_MB = 256
/** How Node and the system end a process that needs too much memory. */
const OUT_OF_MEMORY = ['SIGABRT', 'SIGKILL', 'SIGTRAP', 'SIGILL']

const reply = z.union([z.object({ text: z.string().max(MAX_TEXT) }), z.object({ problem: z.string().max(1_000) })])

/** A hostile document can only break the process that reads it. A new one is then started for the next document. */
export function createDocumentReader({ program, timeoutMs }: DocumentReaderOptions): DocumentReader {
  let child: ChildProcess | undefined

  function start(): ChildProcess {
    const started = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, '--no-warnings', program], {
      // It gets no settings, because it needs none.
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    const forget = () => {
      if (child === started) child = undefined
    }
    started.on('error', forget).on('exit', forget)
    return started
  }

  async function stop(): Promise<void> {
    const ending = child
    child = undefined
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = once(ending, 'exit')
    ending.kill('SIGKILL')
    await ended
  }

  return {
    async read(path, kind) {
      const reading = child ?? start()
      child = reading
      const answer = await ask(reading, { path, kind }, timeoutMs)
      if (answer.kind !== 'answered') await stop()
      if (answer.kind === 'late') throw new ReadError(`it was not read within ${timeoutMs / 1_000} s`)
      if (answer.kind === 'died') throw new ReadError(sayEnd(answer.signal))
      const parsed = reply.safeParse(answer.message)
      if (!parsed.success) throw new ReadError('its text could not be taken over')
      if ('problem' in parsed.data) throw new ReadError(parsed.data.problem)
      return parsed.data.text
    },
    [Symbol.asyncDispose]: stop,
  }
}

type Answer =
  | { readonly kind: 'answered'; readonly message: unknown }
  | { readonly kind: 'died'; readonly signal: string | null }
  | { readonly kind: 'late' }

async function ask(child: ChildProcess, request: object, timeoutMs: number): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const onMessage = (message: unknown) => resolve({ kind: 'answered', message })
  const onExit = (_: number | null, signal: string | null) => resolve({ kind: 'died', signal })
  const onError = () => resolve({ kind: 'died', signal: null })
  const timer = setTimeout(() => resolve({ kind: 'late' }), timeoutMs)
  child.on('message', onMessage).on('exit', onExit).on('error', onError)
  // A process that has just ended is reported by its exit.
  child.send(request, () => undefined)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    child.off('message', onMessage).off('exit', onExit).off('error', onError)
  }
}

function sayEnd(signal: string | null): string {
  const isMemory = signal !== null && OUT_OF_MEMORY.includes(signal)
  return isMemory ? 'it needs too much memory' : 'the process that read it ended'
}
