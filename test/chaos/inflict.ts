import { z } from 'zod'
import { clearFaults, placeFault } from '../stand-ins.ts'
import type { Backend } from './backend.ts'
import type { RunCommand } from './commands.ts'
import type { Fault } from './faults.ts'
import type { Feed } from './feed.ts'
import type { PlannedFault } from './plan.ts'
import type { Stage } from './stage.ts'

export interface Inflicting {
  readonly stage: Pick<Stage, 'cloud' | 'crew' | 'push'>
  readonly backend: Pick<Backend, 'inflict'>
  readonly feed: Pick<Feed, 'jobOf' | 'batches'>
  readonly command: RunCommand
  readonly signal: AbortSignal
}

const replayed = z.object({ replayed: z.number() })

/** Lets a planned fault happen. Resolves with how many dead letters were replayed by it, once it is over or placed. */
export async function inflict(inflicting: Inflicting, { name, fault, worker }: PlannedFault): Promise<number> {
  const { stage, backend, signal } = inflicting
  switch (fault.on) {
    case 'worker':
      await inflictOnWorker(stage, fault, worker)
      return 0
    case 'azure':
    case 'entra':
    case 'metadata':
      for (const script of fault.scripts) await placeFault(stage.cloud[fault.on], { ...script, name })
      return 0
    case 'push':
      await place(stage.push.url, fault.script)
      return 0
    case 'command':
      return runCommand(inflicting, fault)
    default:
      await backend.inflict(fault, worker, signal)
      return 0
  }
}

/** Takes all faults back that were placed and have not struck. */
export async function lift({ cloud, push }: Inflicting['stage']): Promise<void> {
  for (const standIn of [cloud.azure, cloud.entra, cloud.metadata, push]) await clearFaults(standIn)
}

function inflictOnWorker(
  { crew }: Inflicting['stage'],
  fault: Extract<Fault, { on: 'worker' }>,
  worker: number,
): Promise<void> {
  if (fault.kind === 'stop') return crew.stop(worker, fault.ms)
  if (fault.kind === 'outage') return crew.outage(fault.ms)
  return fault.kind === 'kill' ? crew.kill(worker) : crew.drain(worker)
}

async function place(url: string, script: object): Promise<void> {
  const answer = await fetch(`${url}/__faults`, { method: 'POST', body: JSON.stringify(script) })
  if (answer.status !== 201) throw new Error(`fault refused: ${await answer.text()}`)
}

async function runCommand({ command, feed }: Inflicting, fault: Extract<Fault, { on: 'command' }>): Promise<number> {
  switch (fault.kind) {
    case 'replay':
      return replayed.parse(await command(['dead-letters', 'replay', '--since', '1h'])).replayed
    case 'cancel batch':
      await command(['cancel', '--batch', feed.batches.at(-1) ?? 'chaos-0'])
      return 0
    case 'cancel job': {
      const { id, batch } = feed.jobOf(fault.which)
      await command(['cancel', id, ...(batch === '' ? [] : ['--batch', batch])])
      return 0
    }
  }
}
