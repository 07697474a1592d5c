import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'

/** How a process sees the machine. */
export interface ContainerOptions {
  /** Its root folder. */
  readonly root: string
  readonly workdir: string
  readonly uid: number
  readonly gid: number
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
  /** Folders of this machine that it finds below its root, and may write to as far as their modes allow. */
  readonly volumes?: Readonly<Record<string, string>>
  readonly isReadOnly: boolean
}

/**
 * Mounts are seen by the process alone, and go with it. Each step becomes the next one, so that a signal to the child
 * reaches the process itself.
 */
const ENTER = `set -e
root=$1 workdir=$2 uid=$3 gid=$4 write=$5 volumes=$6; shift 6
mount --bind "$root" "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
for volume in $volumes; do mount --bind "\${volume#*=}" "$root\${volume%%=*}"; done
mount -o "remount,bind,$write" "$root"
exec unshare --root="$root" --wd="$workdir" --setgid="$gid" --setuid="$uid" -- "$@"`

/** Runs a program as a container engine would: with a root, a user and an environment of its own. It must be root here. */
export function startContainer(
  words: readonly string[],
  options: ContainerOptions,
): ChildProcessByStdio<null, Readable, Readable> {
  const { root, workdir, uid, gid, env, volumes = {}, isReadOnly } = options
  const mounts = Object.entries(volumes).map((pair) => pair.join('='))
  const args = [root, workdir, uid, gid, isReadOnly ? 'ro' : 'rw', mounts.join(' '), ...words].map(String)
  return spawn('unshare', ['--mount', 'sh', '-c', ENTER, 'enter', ...args], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export interface Finished {
  readonly code: number | null
  /** What it printed, both ways. */
  readonly output: string
}

export async function runContainer(words: readonly string[], options: ContainerOptions): Promise<Finished> {
  const child = startContainer(words, options)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const [code]: (number | null)[] = await once(child, 'close')
  return { code: code ?? null, output }
}
