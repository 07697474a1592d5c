import { existsSync, readFileSync } from 'node:fs'

/** The most memory that a process has ever had; undefined where the system does not report it. */
export function peakKibOf(pid: number): number | undefined {
  const status = `/proc/${pid}/status`
  return existsSync(status) ? Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1]) : undefined
}
