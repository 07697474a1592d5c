import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { z } from 'zod'

const HOST = join(import.meta.dirname, 'command-host.ts')

const ended = z.object({ code: z.number(), stdout: z.string(), stderr: z.string() })

export interface HostedOptions {
  readonly cwd?: string
  /** Beside PATH and HOME: nothing else of this process's environment reaches the command. */
  readonly env?: Readonly<Record<string, string>>
}

interface Host {
  readonly child: ChildProcess
  /** Resolves when nothing runs in it. */
  turn: Promise<unknown>
}

/** By the certificates that Node reads at its start. */
const hosts = new Map<string, Host>()
after(() => {
  for (const { child } of hosts.values()) child.kill()
})

/** Runs a `promptbridge` command to its end, in a process that it shares with the other commands of this test file. */
export function runHosted(args: readonly string[], { cwd = tmpdir(), env = {} }: HostedOptions = {}) {
  const { PATH = '', HOME = '' } = process.env
  const host = hostFor(env['NODE_EXTRA_CA_CERTS'])
  const ran = host.turn.then(() => ask(host.child, { args, cwd, env: { PATH, HOME, ...env } }))
  host.turn = ran.catch(() => undefined)
  return ran
}

function hostFor(certificates = ''): Host {
  const found = hosts.get(certificates)
  if (found !== undefined) return found
  const trust = certificates === '' ? {} : { NODE_EXTRA_CA_CERTS: certificates }
  const host = { child: fork(HOST, { env: { ...process.env, ...trust } }), turn: Promise.resolve() }
  hosts.set(certificates, host)
  return host
}

async function ask(child: ChildProcess, request: object) {
  const answered = new AbortController()
  const gone = once(child, 'exit', { signal: answered.signal }).then(([code]) =>
    Promise.reject(new Error(`the commands' process ended with ${code}`)),
  )
  child.send(request)
  gone.catch(() => undefined)
  const [answer] = await Promise.race([once(child, 'message', { signal: answered.signal }), gone])
  answered.abort()
  return ended.parse(answer)
}
