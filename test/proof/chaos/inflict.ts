import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { clearFaults, placeFault } from '../../support/stand-ins.ts'
import type { Backend } from './backend.ts'
import type { RunCommand } from './commands.ts'
import type { Fault, SideName } from './faults.ts'
import type { Feed } from './feed.ts'
import type { PlannedFault } from './plan.ts'
import { readCalls, type Stage } from './stage.ts'

export interface Inflicting {
  readonly stage: Pick<Stage, 'cloud' | 'sides' | 'crew' | 'push' | 'log'>
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
    case 'busy':
    case 'patient':
    case 'missing':
    case 'locked':
      await inflictOnSide(stage, fault, name, signal)
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
export async function lift({ cloud, sides, push }: Inflicting['stage']): Promise<void> {
  for (const standIn of [
    cloud.azure,
    ...[...sides.values()].map(({ standIn }) => standIn),
    cloud.entra,
    cloud.metadata,
    push,
  ])
    await clearFaults(standIn)
}

/** Beyond it no job of the side is expected any more. */
const STRIKES_WITHIN_MS = 300_000
const LOOK_EVERY_MS = 250

/** From its first strike on, so that each is met however few jobs ask that deployment; one after the other. */
function inflictOnSide(
  { sides, log }: Inflicting['stage'],
  { on, ms, script }: Extract<Fault, { on: SideName }>,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const side = sides.get(on)
  if (side === undefined) throw new Error(`there is no resource ${on}`)
  const strike = async () => {
    await placeFault(side.standIn, { ...script, name })
    await untilStruck(log, name, signal)
    await delay(ms, undefined, { signal })
    await clearFaults(side.standIn)
  }
  side.turn = side.turn.then(strike)
  return side.turn
}

async function untilStruck(log: Stage['log'], name: string, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; waitedMs < STRIKES_WITHIN_MS; waitedMs += LOOK_EVERY_MS) {
    const calls = await readCalls(log, 'azure-openai')
    if (calls.some(({ detail }) => detail['fault'] === name)) return
    await delay(LOOK_EVERY_MS, undefined, { signal })
  }
}

function inflictOnWorker(
  { crew }: Inflicting['stage'],
  fault: Extract<Fault, { on: 'worker' }>,
  worker: number,
): Promise<void> {
  if (fault.kind === 'stop') return crew.stop(worker, fault.ms)
  if (fault.kind === 'outage') return crew.outage(fault.ms)
  return crew[fault.kind](worker)
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
      await command(['cancel', '--force', '--batch', feed.batches.at(-1) ?? 'chaos-0'])
      return 0
    case 'cancel job': {
      const { id, batch } = feed.jobOf(fault.which)
      // The jobs are published without a batch, so one that has not started leaves no trace.
      await command(['cancel', '--force', id, ...(batch === '' ? [] : ['--batch', batch])])
      return 0
    }
  }
}
